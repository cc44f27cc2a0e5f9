import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from geocache import conf
from geocache.bans import apply as bans
from geocache.exceptions import BanError
from geocache.locks.file_lock import exclusive_lock
from geocache.models import Ban, ImportSource
from tests.factories import use_dummy_provider
from tests.support.ban_actions import RecordingAction, WholeAction, use_action
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _lists(settings: Any) -> None:
    use_dummy_provider(settings)
    use_action(settings, RecordingAction)
    imported("1.1.1.1", "2.2.2.2", "10.0.0.1", name="one")
    RecordingAction.asked.clear()


def ban_geo(*arguments: str) -> str:
    out = io.StringIO()
    call_command("ban_geo", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_ban_geo__ends_what_no_list_holds_and_asks_for_the_rest_again() -> None:
    imported("1.1.1.1", name="two")
    ImportSource.objects.get(name="one").forget()
    assert ban_geo() == "0 banned, 1 bans ended, 1 asked for again.\n"
    assert RecordingAction.asked == [("unban", ["2.2.2.2"]), ("ban", ["1.1.1.1"])]


def test_ban_geo__a_whole_is_replaced_each_time(settings: Any) -> None:
    use_action(settings, WholeAction)
    for _ in range(2):
        said = "0 banned, 0 bans ended, 2 asked for again.\n1 not banned: 1 private or special.\n"
        assert ban_geo() == said
    assert WholeAction.asked == [("replace", ["1.1.1.1", "2.2.2.2"])] * 2


def test_ban_geo__json() -> None:
    Ban.objects.filter(entry="1.1.1.1").delete()
    assert json.loads(ban_geo("--json")) == {
        "banned": 1,
        "ended": 0,
        "repeated": 1,
        "skipped": {"special": 1},
    }


def test_ban_geo__dry_run_names_what_would_be_done(settings: Any) -> None:
    Ban.objects.filter(entry="1.1.1.1").delete()
    settings.GEOCACHE = {**settings.GEOCACHE, "NEVER_BAN": ["2.2.2.2"]}
    assert ban_geo("--dry-run") == (
        "1 would be banned: 1.1.1.1\n"
        "1 bans would end: 2.2.2.2\n"
        "1 not banned: 1 private or special.\n"
        "  10.0.0.1: special\n"
    )
    assert json.loads(ban_geo("--dry-run", "--json")) == {
        "to_ban": 1,
        "to_end": 1,
        "skipped": {"special": 1},
        "first_to_ban": ["1.1.1.1"],
        "first_to_end": ["2.2.2.2"],
        "first_skipped": {"10.0.0.1": "special"},
        "is_lost": False,
    }
    assert RecordingAction.asked == []


def test_ban_geo__ends_all() -> None:
    assert ban_geo("--end-all") == (
        "2 bans ended. BAN_ACTION is still set: the scheduler and the next import ban again.\n"
    )
    assert RecordingAction.asked == [("unban", ["1.1.1.1", "2.2.2.2"])]
    assert not Ban.objects.exists()


@pytest.mark.parametrize("arguments", [[], ["--dry-run"], ["--end-all"]])
def test_ban_geo__switched_off_says_how_bans_end(settings: Any, arguments: list[str]) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": None}
    with pytest.raises(CommandError, match=r"2 bans are recorded.*ban_geo --end-all"):
        ban_geo(*arguments)
    Ban.objects.all().delete()
    with pytest.raises(CommandError, match="Nothing is banned: BAN_ACTION is not set"):
        ban_geo(*arguments)


def test_ban_geo__failure_is_one_line_and_exit_code_1() -> None:
    Ban.objects.all().delete()
    RecordingAction.fails_at = 0
    with pytest.raises(
        CommandError, match=r"^Bans were not all applied: the jail is closed$"
    ) as no:
        ban_geo()
    assert no.value.returncode == 1


def test_ban_geo__another_process_is_banning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bans, "WAIT_SECONDS", 0)
    with (
        exclusive_lock(conf.var_dir() / ".bans.lock", busy=BanError("busy")),
        pytest.raises(SystemExit) as ended,
    ):
        ban_geo()
    assert ended.value.code == 75


def test_ban_geo__end_all_and_dry_run_are_one_too_many() -> None:
    with pytest.raises(CommandError, match="not allowed with argument"):
        ban_geo("--end-all", "--dry-run")


def test_ban_geo__where_bans_are_switched_off_ends_them(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BANS_ENABLED": False}
    off = "Bans are switched off: BANS_ENABLED is False."
    assert ban_geo("--dry-run").startswith(f"{off}\n0 would be banned.\n2 bans would end: 1.1.1.1")
    assert ban_geo() == f"{off} 2 bans ended.\n"
    assert RecordingAction.asked == [("unban", ["1.1.1.1", "2.2.2.2"])]
    assert not Ban.objects.exists()
    assert ban_geo("--end-all") == f"0 bans ended. {off}\n"
