"""One process imports, another one shows addresses."""

import time

import pytest

from geocache.labels import give_label
from tests.factories import LONDON
from tests.support.blocklists import imported
from tests.support.processes import start_script, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

# Like a process that serves pages: its thread runs. It says the labels of the address of each line.
SHOWING = """
import sys
from geocache import background, labels
for line in sys.stdin:
    background.start()
    print(*labels.labels_of(line.strip()), flush=True)
"""


def test_follow__another_process_sees_an_import_within_ten_seconds(monkeypatch):
    monkeypatch.setattr("geocache.blocklists.apply.locate", lambda _: None)
    showing = start_script(SHOWING)

    def labels_there():
        showing.stdin.write(f"{LONDON}\n")
        showing.stdin.flush()
        return showing.stdout.readline().strip()

    try:
        assert labels_there() == ""
        imported("81.2.69.0/24", name="one")
        steps = (
            ("vpn", lambda: give_label("one", "vpn")),
            ("", lambda: imported("9.9.9.9", name="one")),
            ("vpn", lambda: imported(LONDON, name="one")),
            ("bot", lambda: give_label("one", "bot")),
        )
        for expected, act in steps:
            act()
            changed_at = time.monotonic()
            wait_until(lambda expected=expected: labels_there() == expected, seconds=30)
            assert time.monotonic() - changed_at < 10
    finally:
        showing.kill()
        showing.communicate()
