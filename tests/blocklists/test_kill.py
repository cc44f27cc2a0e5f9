"""A process that is killed with -9 in the middle of an import, again and again."""

import json
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from geocache.models import ImportRun, ListedAddress
from tests.support import processes
from tests.support.ban_actions import use_action
from tests.support.blocklists import an_entry, imported, imported_entries
from tests.support.fail2ban_server import JAIL, a_jail
from tests.support.processes import wait_until

FAIL2BAN = "geocache.bans.fail2ban.Fail2banAction"
pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

LINES = [f"20.{n >> 8}.{n & 255}.1" for n in range(300)]
OLD = [f"19.0.0.{n}" for n in range(60)]
# For each line a child imports in batches of 20 and kills itself in one of them, at a step that it
# is told. Nothing is connected yet when it is forked.
CHILD = """
for line in sys.stdin:
    if pid := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    else:
        break
else:
    sys.exit()
order = json.loads(line)
"""
KILLED = """
import json, os, signal, sys
from django.conf import settings
from geocache.bans import apply as bans
from geocache.bans.fail2ban import Fail2banAction
from geocache.blocklists import apply
from tests.support.blocklists import an_entry, imported, imported_entries

apply.BATCH_ENTRIES = Fail2banAction.batch_size = 20
"""
KILLED += CHILD
KILLED += """\
settings.GEOCACHE["BAN_ACTION"] = order["action"]
left = [order["number"]]

def dying(place, name, step):
    function = getattr(place, name)
    def called(*args, **options):
        if step == order["step"]:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)
    setattr(place, name, called)

dying(apply, "locate", "before a batch")
dying(apply.Import, "renew", "inside a transaction")
dying(Fail2banAction, "ban", "before a ban")
dying(bans, "record_bans", "between ban and record")
imported(*order["lines"])
"""
STEPS = ["before a batch", "inside a transaction", "before a ban", "between ban and record"]


SCORED = """
import json, os, signal, sys
from geocache.blocklists import apply
from geocache.models import ListedAddressQuerySet
from tests.support.blocklists import an_entry, imported_entries

apply.BATCH_ENTRIES = 20
"""
SCORED += CHILD
SCORED += """\
left = [order["number"]]
real = ListedAddressQuerySet.mark_changed

def dying(*args):
    if order["is_after"]:
        real(*args)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    if not order["is_after"]:
        real(*args)

ListedAddressQuerySet.mark_changed = dying
imported_entries(*(an_entry(one, order["score"]) for one in order["lines"]))
"""


def state() -> list[tuple[Any, ...]]:
    return list(ListedAddress.objects.in_order().values_list("entry", "is_listed"))


def test_import__killed_at_ten_random_batches_and_resumed(tmp_path: Path, settings: Any) -> None:
    chance = random.Random(7)
    orders = list[str]()
    with a_jail(tmp_path) as jail:
        use_action(settings, FAIL2BAN, jail=JAIL, socket=jail.socket)
        imported(*OLD, *LINES[:60])
        for number in range(10):
            order = {
                "lines": LINES,
                "action": settings.GEOCACHE["BAN_ACTION"],
                # Each step is met, the later ones when the earlier are over.
                "step": STEPS[0 if number < 2 else 1 if number < 5 else chance.choice((2, 3))],
                "number": chance.randrange(1, 4),
            }
            orders.append(json.dumps(order))
        process = processes.start_script(KILLED)
        said = process.communicate("\n".join(orders), timeout=60)[0]
        assert said.split() == [str(-signal.SIGKILL)] * 10, said
        # Nobody waits for the lease: the holder is gone.
        outcome = imported(*LINES)
        assert jail.banned() == sorted(LINES)
        wait_until(lambda: len(jail.actions()) >= 420)
        assert Counter(jail.actions()) == Counter(
            [*(f"ban {one}" for one in (*OLD, *LINES)), *(f"unban {one}" for one in OLD)]
        )
    assert (outcome.added_count, outcome.removed_count) == (240, 60)
    run = ImportRun.objects.get(sha256=outcome.sha256)
    assert (run.state, run.added.count(), run.removed.count()) == ("completed", 240, 60)
    killed = state()
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": None}
    ListedAddress.objects.all().delete()
    ImportRun.objects.all().delete()
    imported(*OLD, *LINES[:60])
    imported(*LINES)
    assert state() == killed


def test_import__killed_among_changed_scores_and_resumed() -> None:
    imported_entries(*(an_entry(one, 1) for one in LINES))
    order = {"lines": LINES, "score": 2}
    orders = [json.dumps(order | {"number": n, "is_after": n % 2 == 0}) for n in range(1, 6)]
    process = processes.start_script(SCORED)
    said = process.communicate("\n".join(orders), timeout=60)[0]
    assert said.split() == [str(-signal.SIGKILL)] * 5, said
    # A batch is changed with its count or not at all: 0 + 1 + 2 + 3 + 4 of 20 before each end.
    assert ListedAddress.objects.filter(score=2).count() == 200
    outcome = imported_entries(*(an_entry(one, 2) for one in LINES))
    assert (outcome.added_count, outcome.removed_count, outcome.changed_count) == (0, 0, 300)
    assert not ListedAddress.objects.exclude(score=2, is_listed=True).exists()
