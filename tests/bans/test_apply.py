from collections.abc import Callable
from typing import Any

import pytest

from geocache import conf
from geocache.bans import apply as bans
from geocache.bans.protection import Reason
from geocache.exceptions import BanBusy, BanError, ImportFailed
from geocache.locks.file_lock import exclusive_lock
from geocache.models import Ban, ImportRun, ImportSource, ListedAddress
from tests.factories import use_dummy_provider
from tests.support.assertions import no_database_write
from tests.support.ban_actions import RecordingAction, WholeAction, use_action
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db

FIRST = ("1.1.1.1", "2.2.2.2", "3.3.3.0/24")


@pytest.fixture(autouse=True)
def _provider(settings: Any) -> None:
    use_dummy_provider(settings)


@pytest.fixture
def action(settings: Any) -> type[RecordingAction]:
    use_action(settings, RecordingAction)
    return RecordingAction


def banned() -> list[str]:
    return sorted(Ban.objects.values_list("entry", flat=True))


def test_bans__are_off_by_default() -> None:
    imported(*FIRST)
    assert not bans.are_due()
    assert banned() == []


def test_bans__each_new_entry_once_in_batches(action: type[RecordingAction]) -> None:
    outcome = imported(*FIRST)
    assert action.asked == [("ban", ["1.1.1.1", "2.2.2.2"]), ("ban", ["3.3.3.0/24"])]
    assert outcome.banned_count == 3
    imported(*FIRST)
    imported(*FIRST, "4.4.4.4")
    assert action.asked[2:] == [("ban", ["4.4.4.4"])]
    assert banned() == [*FIRST, "4.4.4.4"]


def test_bans__end_once_when_the_entry_leaves(action: type[RecordingAction]) -> None:
    imported(*FIRST)
    action.asked.clear()
    outcome = imported("2.2.2.2")
    assert action.asked == [("unban", ["1.1.1.1", "3.3.3.0/24"])]
    assert outcome.unbanned_count == 2
    assert banned() == ["2.2.2.2"]


def test_bans__last_as_long_as_one_list_has_the_entry(action: type[RecordingAction]) -> None:
    imported("1.1.1.1", name="one")
    imported("1.1.1.1", name="two")
    assert action.asked == [("ban", ["1.1.1.1"])]
    imported("2.2.2.2", name="one")
    assert action.asked[1:] == [("ban", ["2.2.2.2"])]
    imported("2.2.2.2", name="two")
    assert action.asked[2:] == [("unban", ["1.1.1.1"])]


def test_bans__failure_leaves_the_run_failed_and_resumable(action: type[RecordingAction]) -> None:
    action.fails_at = 1
    with pytest.raises(ImportFailed, match="the jail is closed"):
        imported(*FIRST)
    run = ImportRun.objects.get()
    assert (run.state, run.error, run.added_count) == ("failed", "the jail is closed", 3)
    assert banned() == ["1.1.1.1", "2.2.2.2"]
    imported(*FIRST)
    # What was recorded is not banned again.
    assert action.asked == [("ban", ["1.1.1.1", "2.2.2.2"]), ("ban", ["3.3.3.0/24"])]
    run.refresh_from_db()
    assert (run.state, run.added_count) == ("completed", 3)


def test_bans__that_are_switched_on_later_come_with_the_next_import(settings: Any) -> None:
    imported("1.1.1.1")
    use_action(settings, RecordingAction)
    assert imported("1.1.1.1").banned_count == 1
    assert imported("1.1.1.1").status == "unchanged"


@pytest.mark.parametrize(
    "entry",
    [
        "127.0.0.1",
        "10.0.0.0/8",
        "0.0.0.0/0",
        "::/0",
        "fe80::1",
        "8.8.8.8",
        "8.0.0.0/8",
        "8.8.8.0/25",
        "::ffff:127.0.0.1/128",
        "::ffff:8.8.8.8/128",
        "::ffff:0:0/96",
        "::ffff:0:0/95",
    ],
)
def test_bans__never_what_is_protected(
    action: type[RecordingAction], settings: Any, entry: str
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "NEVER_BAN": ["8.8.8.0/24"]}
    imported("1.1.1.1", entry)
    assert action.asked == [("ban", ["1.1.1.1"])]
    assert not bans.are_due()


def test_bans__replaced_as_a_whole(settings: Any) -> None:
    use_action(settings, WholeAction)
    imported(*FIRST, name="one")
    imported("3.3.3.0/24", "4.4.4.4", "10.0.0.1", name="two")
    assert WholeAction.asked == [
        ("replace", ["1.1.1.1", "2.2.2.2", "3.3.3.0/24"]),
        ("replace", ["1.1.1.1", "2.2.2.2", "3.3.3.0/24", "4.4.4.4"]),
    ]
    assert imported("4.4.4.4", name="one").unbanned_count == 2
    assert banned() == ["3.3.3.0/24", "4.4.4.4"]


def test_bans__a_whole_that_fails_is_not_recorded(settings: Any) -> None:
    use_action(settings, WholeAction)
    WholeAction.fails_at = 0
    with pytest.raises(ImportFailed):
        imported(*FIRST)
    assert banned() == []
    assert imported(*FIRST).banned_count == 3


@pytest.mark.parametrize(
    ("backend", "why"),
    [
        ("geocache.bans.nothing.Action", "BAN_ACTION makes no sense: No module named"),
        ("geocache.conf.get", "BAN_ACTION makes no sense: get"),
        ("geocache.bans.fail2ban.Fail2banAction", "missing 1 required keyword-only argument"),
        ("builtins.dict", "builtins.dict is no BanAction"),
    ],
)
def test_current__refuses_what_is_no_action(settings: Any, backend: str, why: str) -> None:
    use_action(settings, backend)
    with pytest.raises(BanError, match=why):
        bans.current()


def test_current__refuses_a_path_that_is_no_text(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": {"BACKEND": 3}}
    with pytest.raises(BanError, match="BAN_ACTION makes no sense"):
        bans.current()


def test_bans__protection_that_cannot_be_read_bans_nothing(
    action: type[RecordingAction], settings: Any
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "NEVER_BAN": ["my office"]}
    with pytest.raises(ImportFailed, match="NEVER_BAN: 'my office'"):
        imported("1.1.1.1")
    assert action.asked == []


# --- what is never banned ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [RecordingAction, WholeAction])
def test_bans__what_is_never_banned_is_counted(settings: Any, kind: type[RecordingAction]) -> None:
    use_action(settings, kind)
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": ["149.112.0.0/16", "unix"]}
    outcome = imported("1.1.1.1", "149.112.112.0/24", "149.112.1.1", "208.0.0.0/6", "10.0.0.1")
    counted = {Reason.SPECIAL: 1, Reason.TRUSTED_PROXY: 2, Reason.TOO_WIDE_IPV4: 1}
    assert outcome.skipped_counts == counted
    assert banned() == ["1.1.1.1"]
    assert bans.apply_bans().skipped == counted


@pytest.mark.parametrize("kind", [RecordingAction, WholeAction])
@pytest.mark.parametrize(
    "given",
    [
        {"NEVER_BAN": ["::ffff:2.2.2.2"]},
        {"TRUSTED_PROXIES": ["2.2.0.0/16"]},
        {"BAN_WIDEST_IPV4": 25},
    ],
)
def test_bans__end_when_a_setting_protects_what_is_banned(
    settings: Any, kind: type[RecordingAction], given: Any
) -> None:
    use_action(settings, kind)
    imported("1.1.1.1", "2.2.2.0/24")
    assert not bans.are_due()
    settings.GEOCACHE = {**settings.GEOCACHE, **given}
    assert bans.are_due()
    report = bans.apply_bans()
    assert (report.banned, report.unbanned) == (0, 1)
    assert banned() == ["1.1.1.1"]
    last = ("unban", ["2.2.2.0/24"]) if kind is RecordingAction else ("replace", ["1.1.1.1"])
    assert kind.asked[-1] == last
    assert not bans.are_due()


def test_bans__end_also_of_what_left_its_list_and_is_protected(
    action: type[RecordingAction], settings: Any
) -> None:
    imported("1.1.1.1", "2.2.2.2")
    settings.GEOCACHE = {**settings.GEOCACHE, "NEVER_BAN": ["2.2.2.2"]}
    assert imported("1.1.1.1").unbanned_count == 1
    assert action.asked[-1] == ("unban", ["2.2.2.2"])
    assert banned() == ["1.1.1.1"]


# --- without an import ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [RecordingAction, WholeAction])
def test_apply_bans__ends_those_of_the_last_list_that_was_deleted(
    settings: Any, kind: type[RecordingAction]
) -> None:
    use_action(settings, kind)
    imported(*FIRST)
    ImportSource.objects.get().forget()
    assert bans.are_due()
    assert bans.apply_bans().unbanned == 3
    assert banned() == []
    unbans = [("unban", list(FIRST[:2])), ("unban", [FIRST[2]])]
    assert kind.asked[1:] == [("replace", [])] if kind is WholeAction else unbans
    assert not bans.are_due()


@pytest.mark.parametrize("kind", [RecordingAction, WholeAction])
def test_apply_bans__asks_again_for_what_is_lost(
    settings: Any, kind: type[RecordingAction], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_action(settings, kind)
    imported("1.1.1.1", "2.2.2.2")
    asked = kind.asked.copy()
    assert bans.apply_bans().repeated == 0
    assert kind.asked == asked
    monkeypatch.setattr(kind, "is_in_force", lambda _: False)
    assert bans.are_due()
    assert bans.apply_bans().repeated == 2
    assert kind.asked == asked + asked[-1:]


def test_apply_bans__nothing_is_lost_where_nothing_is_banned(
    action: type[RecordingAction], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action, "is_in_force", lambda _: False)
    assert not bans.are_due()


@pytest.mark.parametrize("kind", [RecordingAction, WholeAction])
def test_end_bans__all_of_them(settings: Any, kind: type[RecordingAction]) -> None:
    use_action(settings, kind)
    imported(*FIRST)
    assert bans.end_bans() == 3
    assert banned() == []
    assert kind.asked[-1] == (("replace", []) if kind is WholeAction else ("unban", [FIRST[2]]))
    # As long as the action is set, they are due again.
    assert bans.apply_bans().banned == 3


def test_end_bans__nothing_can_end_them_without_an_action() -> None:
    with pytest.raises(BanError, match="BAN_ACTION is not set"):
        bans.end_bans()


@pytest.mark.parametrize("kind", [RecordingAction, WholeAction])
def test_apply_due_bans__looks_at_no_entry_while_nothing_changes(
    settings: Any, kind: type[RecordingAction]
) -> None:
    use_action(settings, kind)
    imported(*FIRST, "10.0.0.1")
    asked = kind.asked.copy()
    with no_database_write(max_queries=2) as queries:
        bans.apply_due_bans()
    assert "geocache_listedaddress" not in "".join(one["sql"] for one in queries.captured_queries)
    assert kind.asked == asked


@pytest.mark.parametrize(
    "change",
    [
        lambda: ImportSource.objects.get(name="one").forget(),
        lambda: ImportSource.objects.get(name="one").delete(),
        lambda: Ban.objects.filter(entry="1.1.1.1").delete(),
    ],
)
def test_apply_due_bans__finds_each_change(
    action: type[RecordingAction], change: Callable[[], object]
) -> None:
    imported("1.1.1.1", name="one")
    imported("2.2.2.2", name="two")
    bans.apply_due_bans()
    change()
    assert bans.are_due()
    report = bans.apply_due_bans()
    assert (report.banned + report.unbanned) == 1
    assert not bans.are_due()
    assert action.asked[2:] in ([("unban", ["1.1.1.1"])], [("ban", ["1.1.1.1"])])


def test_apply_due_bans__what_failed_is_tried_again(action: type[RecordingAction]) -> None:
    imported("1.1.1.1")
    Ban.objects.all().delete()
    action.fails_at = 1
    with pytest.raises(BanError):
        bans.apply_due_bans()
    assert bans.apply_due_bans().banned == 1


@pytest.mark.usefixtures("action")
def test_apply_bans__one_process_at_a_time() -> None:
    imported("1.1.1.1")
    busy = BanError("busy")
    with (
        exclusive_lock(conf.var_dir() / ".bans.lock", busy=busy),
        pytest.raises(BanBusy, match="another process is banning"),
    ):
        bans.apply_bans(wait_seconds=0)


# --- scores --------------------------------------------------------------------------------------


def scored(name: str, **scores: float | None) -> None:
    """Import a list, and give its entries scores; ``a1`` stands for 1.1.1.1."""
    entries = {f"{text[1:]}." * 3 + text[1:]: score for text, score in scores.items()}
    imported(*entries, name=name)
    for entry, score in entries.items():
        ListedAddress.objects.filter(source__name=name, entry=entry).update(score=score)


@pytest.mark.parametrize("kind", [RecordingAction, WholeAction])
def test_bans__only_with_a_score_that_is_high_enough(
    settings: Any, kind: type[RecordingAction]
) -> None:
    scored("ipsum", a1=1, a2=3, a3=7, a4=None, a5=1)
    scored("other", a5=None, a6=0)
    use_action(settings, kind)
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_MIN_SCORES": {"ipsum": 3, "none": 1}}
    report = bans.apply_bans()
    assert banned() == ["2.2.2.2", "3.3.3.3", "5.5.5.5", "6.6.6.6"]
    assert report.skipped == {Reason.LOW_SCORE: 2}
    assert not bans.are_due()
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_MIN_SCORES": {"ipsum": 5, "other": 0}}
    assert bans.are_due()
    assert bans.apply_due_bans().unbanned == 2
    assert banned() == ["3.3.3.3", "6.6.6.6"]
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_MIN_SCORES": {}}
    assert bans.apply_due_bans().banned == 4


def test_bans__end_when_the_score_sinks(action: type[RecordingAction], settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_MIN_SCORES": {"ipsum": 2.5}}
    scored("ipsum", a1=3, a2=2)
    bans.apply_bans()
    assert banned() == ["1.1.1.1"]
    ListedAddress.objects.update(score=1)
    assert bans.apply_bans().unbanned == 1
    assert action.asked[-1] == ("unban", ["1.1.1.1"])


def test_apply_due_bans__finds_scores_that_change_while_another_machine_imports(
    action: type[RecordingAction], settings: Any
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_MIN_SCORES": {"ipsum": 2.5}}
    scored("ipsum", a1=3)
    bans.apply_bans()
    # The run was there before: this is its next batch.
    ListedAddress.objects.update(score=1)
    ImportRun.objects.update(changed_count=1)
    assert bans.apply_due_bans().unbanned == 1
    assert action.asked[-1] == ("unban", ["1.1.1.1"])


@pytest.mark.parametrize("score", ["3", None, True, float("nan"), [3]])
def test_bans__least_score_that_is_no_number(settings: Any, score: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_MIN_SCORES": {"ipsum": score}}
    with pytest.raises(BanError, match="of the list 'ipsum' is not a number"):
        bans.check()
