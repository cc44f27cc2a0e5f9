"""Against the real fail2ban."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geocache.bans.fail2ban import Fail2banAction
from geocache.blocklists import apply, sources
from geocache.exceptions import BanError, ImportFailed
from geocache.models import ImportRun
from tests.factories import use_dummy_provider
from tests.support.ban_actions import use_action
from tests.support.blocklists import imported, listed
from tests.support.fail2ban_server import JAIL, Jail, a_jail
from tests.support.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

PATH = "geocache.bans.fail2ban.Fail2banAction"
FIRST = ("1.1.1.1", "2.2.2.0/24", "2a02:6b8::1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jail]:
    with a_jail(tmp_path_factory.mktemp("f2b")) as running:
        yield running


@pytest.fixture
def jail(server: Jail, settings: Any) -> Jail:
    """The server without bans, and an import that bans there."""
    use_dummy_provider(settings)
    server.ask("unban", "--all")
    wait_until(lambda: not server.banned())
    (server.folder / "actions.txt").unlink(missing_ok=True)
    use_action(settings, PATH, jail=JAIL, socket=server.socket)
    return server


def test_fail2ban__bans_what_appears_and_ends_bans_of_what_leaves(jail: Jail) -> None:
    imported(*FIRST)
    assert jail.banned() == sorted(FIRST)
    imported("1.1.1.1", "3.3.3.3")
    assert jail.banned() == ["1.1.1.1", "3.3.3.3"]
    wait_until(lambda: len(jail.actions()) == 6)
    assert sorted(jail.actions()) == [
        "ban 1.1.1.1",
        "ban 2.2.2.0/24",
        "ban 2a02:6b8::1",
        "ban 3.3.3.3",
        "unban 2.2.2.0/24",
        "unban 2a02:6b8::1",
    ]


def test_fail2ban__takes_a_ban_of_what_is_banned_without_doing_it_again(jail: Jail) -> None:
    action = Fail2banAction(jail=JAIL, socket=jail.socket)
    action.ban(["1.1.1.1", "2.2.2.2"])
    action.ban(["1.1.1.1", "3.3.3.3"])
    action.unban(["9.9.9.9"])
    wait_until(lambda: "ban 3.3.3.3" in jail.actions())
    assert sorted(jail.actions()) == ["ban 1.1.1.1", "ban 2.2.2.2", "ban 3.3.3.3"]


def test_fail2ban__killed_between_ban_and_record_bans_once(
    jail: Jail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geocache.bans.apply.record_bans", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        imported(*FIRST)
    monkeypatch.undo()
    imported(*FIRST)
    wait_until(lambda: len(jail.actions()) >= 3)
    assert sorted(jail.actions()) == sorted(f"ban {one}" for one in FIRST)


def test_fail2ban__jail_that_is_not_there_fails_the_run(jail: Jail, settings: Any) -> None:
    use_action(settings, PATH, jail="other", socket=jail.socket)
    with pytest.raises(ImportFailed, match="does not exist"):
        imported("1.1.1.1")
    assert ImportRun.objects.get().state == "failed"
    use_action(settings, PATH, jail=JAIL, socket=jail.socket)
    assert imported("1.1.1.1").banned_count == 1


def test_fail2ban__server_that_is_away_is_one_line(tmp_path: Path) -> None:
    action = Fail2banAction(jail=JAIL, socket=str(tmp_path / "none.sock"))
    with pytest.raises(BanError, match="jail geocache: fail2ban-client has failed with exit code"):
        action.ban(["1.1.1.1"])


def test_import__reads_the_live_database_and_the_log(jail: Jail, settings: Any) -> None:
    Fail2banAction(jail=JAIL, socket=jail.socket).ban(["7.7.7.7", "8.8.8.8"])
    wait_until(lambda: len(jail.actions()) == 2)
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": None}
    for path, name in ((jail.database, "database"), (jail.log, "log")):
        origin = sources.find_origin(str(path), name)
        with sources.content_of(origin) as content:
            outcome = apply.import_content(origin, content)
        assert {"7.7.7.7", "8.8.8.8"} <= set(listed(name)), outcome
        assert outcome.bad_count == 0
