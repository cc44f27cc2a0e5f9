import threading
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from geocache.blocklists import apply, kept_entries
from geocache.blocklists.outcome import Progress
from geocache.blocklists.sources import Origin
from geocache.exceptions import ImportBusy, ImportFailed
from geocache.journal.flush import flush_dirty
from geocache.models import GeoCache, ImportRun, ImportSource, ListedAddress
from geocache.signals import blocklist_changed, location_recorded
from tests.factories import LONDON, use_dummy_provider
from tests.support.blocklists import a_list, an_entry, imported, imported_entries, kept, listed
from tests.support.receivers import connected, receiving

pytestmark = pytest.mark.django_db

NETWORK = "5.6.7.0/24"
MANY = [f"20.0.{n >> 8}.{n & 255}" for n in range(600)]


@pytest.fixture(autouse=True)
def _provider(settings: Any) -> None:
    use_dummy_provider(settings, answers={LONDON: {"country_code": "GB"}})


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "BATCH_ENTRIES", 100)
    monkeypatch.setattr(kept_entries, "HELD_ROWS", 70)


def written(queries: CaptureQueriesContext) -> list[str]:
    """The statements that have changed something."""
    words = ("INSERT", "UPDATE", "DELETE")
    return [one["sql"] for one in queries if one["sql"].lstrip().startswith(words)]


def test_import_list__new_content_is_listed_and_located() -> None:
    outcome = imported(LONDON, NETWORK, "nonsense", LONDON)
    assert (outcome.status, outcome.added_count, outcome.bad_count) == ("applied", 2, 1)
    assert outcome.bad_lines == ["line 3: 'nonsense' is not an address"]
    assert listed() == [NETWORK, LONDON]
    flush_dirty()
    # Networks are not expanded.
    assert list(GeoCache.objects.values_list("address", "country_code")) == [(LONDON, "GB")]
    run = ImportRun.objects.get()
    assert (run.state, run.added_count, run.network_count) == ("completed", 2, 1)


def test_import_list__same_content_writes_its_run_only() -> None:
    imported(LONDON, NETWORK)
    with CaptureQueriesContext(connection) as queries:
        outcome = imported(LONDON, NETWORK)
    assert (outcome.status, outcome.entry_count) == ("unchanged", 2)
    table = connection.ops.quote_name("geocache_importrun")
    assert [sql.split()[:2] for sql in written(queries)] == [["UPDATE", table]]
    assert ImportRun.objects.count() == 1


def test_import_list__other_content_is_a_run_with_its_difference() -> None:
    imported("1.1.1.1", "2.2.2.2")
    outcome = imported("2.2.2.2", "3.3.3.3")
    assert (outcome.added_count, outcome.removed_count) == (1, 1)
    assert listed() == ["2.2.2.2", "3.3.3.3"]
    run = ImportRun.objects.get(sha256=outcome.sha256)
    assert [one.entry for one in run.added.all()] == ["3.3.3.3"]
    assert [one.entry for one in run.removed.all()] == ["1.1.1.1"]
    gone = ListedAddress.objects.get(entry="1.1.1.1")
    assert gone.last_listed_at >= gone.first_listed_at
    assert ListedAddress.objects.get(entry="2.2.2.2").last_listed_at is None


def test_import_list__content_that_comes_back_is_applied_again() -> None:
    imported("1.1.1.1", "2.2.2.2")
    first = ListedAddress.objects.get(entry="1.1.1.1").first_listed_at
    imported("2.2.2.2")
    outcome = imported("1.1.1.1", "2.2.2.2")
    assert (outcome.status, outcome.added_count, outcome.removed_count) == ("applied", 1, 0)
    assert listed() == ["1.1.1.1", "2.2.2.2"]
    assert ListedAddress.objects.get(entry="1.1.1.1").first_listed_at == first
    assert ImportRun.objects.count() == 2


def test_import_list__on_a_database_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    imported("1.1.1.1", "2.2.2.2")
    imported("2.2.2.2")
    monkeypatch.setattr(connection, "vendor", "other")
    assert imported("1.1.1.1", "2.2.2.2", NETWORK).added_count == 2
    assert listed() == ["1.1.1.1", "2.2.2.2", NETWORK]
    again = ListedAddress.objects.get(entry="1.1.1.1")
    assert (again.is_listed, again.last_listed_at) == (True, None)


def test_import_list__lists_know_nothing_of_each_other() -> None:
    imported("1.1.1.1", name="one")
    imported("1.1.1.1", name="two")
    imported("2.2.2.2", name="two")
    assert (listed("one"), listed("two")) == (["1.1.1.1"], ["2.2.2.2"])


def test_import_list__nothing_that_is_an_address_is_refused_and_changes_nothing() -> None:
    imported("1.1.1.1")
    for text in ("Sorry\n", "", "# only a comment\n"):
        with kept(text) as content, pytest.raises(ImportFailed, match="nothing in it is an addr"):
            apply.import_list(Origin("test", ""), content)
    assert listed() == ["1.1.1.1"]
    assert ImportRun.objects.count() == 1


@pytest.mark.usefixtures("small_batches")
def test_import_list__interrupted_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    imported(*MANY[:300:3])
    calls = iter(range(100))
    locate = apply.locate
    broken = lambda batch: (next(calls) == 2 and 1 / 0) or locate(batch)  # noqa: E731 - one line
    monkeypatch.setattr(apply, "locate", broken)
    with pytest.raises(ZeroDivisionError):
        imported(*MANY)
    run = ImportRun.objects.get(state="failed")
    assert (run.error, run.added_count) == ("stopped before it was done", 200)
    assert imported(*MANY).added_count == 500
    assert listed() == MANY
    run.refresh_from_db()
    assert (run.state, run.error) == ("completed", "")


@pytest.mark.usefixtures("small_batches")
def test_import_list__half_of_another_content_is_no_former_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imported("1.1.1.1")
    monkeypatch.setattr(apply.Import, "complete", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        imported(*MANY)
    monkeypatch.undo()
    outcome = imported("1.1.1.1")
    assert (outcome.status, outcome.removed_count) == ("applied", 600)
    assert listed() == ["1.1.1.1"]


def test_import_list__held_by_a_live_process_is_busy() -> None:
    source = ImportSource.objects.create(name="test")
    assert source.acquire("another machine's 1 2 3", 120)
    with pytest.raises(ImportBusy, match="another process imports test"):
        imported("1.1.1.1")
    assert listed() == []


@pytest.mark.usefixtures("small_batches")
def test_import_list__taken_over_writes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(100))

    def steal(_: Any) -> None:
        if next(calls) == 2:
            ImportSource.objects.update(holder="another")

    monkeypatch.setattr(apply, "locate", steal)
    with pytest.raises(ImportBusy, match="taken this import over"):
        imported(*MANY)
    assert listed() == MANY[:200]
    # It is the other's run now.
    run = ImportRun.objects.get()
    assert (run.state, run.added_count) == ("running", 200)


@pytest.mark.django_db(transaction=True)
def test_import_list__two_at_once_apply_once() -> None:
    outcomes: list[Any] = []

    def work() -> None:
        # Not by imported(): what it patches is of the whole process.
        try:
            with kept(a_list(*MANY)) as content:
                origin = Origin("test", "")
                outcomes.append(apply.import_list(origin, content, wait_seconds=60))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(one.status for one in outcomes) == ["applied", "unchanged"]
    assert ImportRun.objects.get().added_count == 600
    assert listed() == MANY


def test_import_list__stopped_is_resumable() -> None:
    read: list[int] = []
    with pytest.raises(ImportFailed, match="stopped before it was done"):
        imported("1.1.1.1", progress=Progress(total=read.append, is_stopped=lambda: bool(read)))
    assert ImportRun.objects.get().state == "failed"
    assert imported("1.1.1.1").added_count == 1


def test_compare__writes_nothing() -> None:
    imported("1.1.1.1")
    with CaptureQueriesContext(connection) as queries, kept(a_list("2.2.2.2")) as content:
        outcome = apply.compare(Origin("test", ""), content)
    assert (outcome.status, outcome.added_count, outcome.removed_count) == ("compared", 1, 1)
    assert written(queries) == []


def test_warm__looks_up_and_applies_nothing() -> None:
    with kept(a_list(LONDON, NETWORK)) as content:
        assert apply.warm(Origin("test", ""), content).status == "warmed"
    flush_dirty()
    assert GeoCache.objects.get().address == LONDON
    assert not ImportRun.objects.exists()


# --- signals -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_import_list__is_announced_when_it_has_changed_something() -> None:
    with receiving(blocklist_changed) as heard, receiving(location_recorded) as recorded:
        imported(LONDON, NETWORK, "20.0.0.1")
        imported(LONDON, NETWORK, "20.0.0.1")
        # In another order and with a comment: nothing changes.
        imported(NETWORK, LONDON, "20.0.0.1", "# none")
        imported_entries(an_entry(LONDON, 9.0), an_entry(NETWORK), name="test")
    counts = [tuple(one[f"{kind}_count"] for kind in KINDS) for one in heard]
    assert counts == [(3, 0, 0), (0, 1, 1)]
    assert {(one["sender"], one["name"]) for one in heard} == {(ImportSource, "test")}
    first, last = (ImportRun.objects.get(pk=one["run_id"]) for one in heard)
    assert first.started_at < last.started_at
    assert [set(one["locations"]) for one in recorded] == [{LONDON, "20.0.0.1"}]


KINDS = ("added", "removed", "changed")


@pytest.mark.django_db(transaction=True)
def test_import_list__receiver_holds_neither_list_nor_transaction() -> None:
    states = []

    def receiver(run_id: int | None, **_: Any) -> None:
        states.append((connection.in_atomic_block, run_id is None))
        if run_id:
            imported(NETWORK)
        raise ValueError("of the project")

    with connected(blocklist_changed, receiver):
        assert imported(LONDON).added_count == 1
        ImportSource.objects.get().forget()
    assert states == [(False, False), (False, False), (False, True)]


def test_import_list__in_a_transaction_of_the_caller_is_announced_after_it(
    django_capture_on_commit_callbacks: Any,
) -> None:
    with receiving(blocklist_changed) as heard:
        with django_capture_on_commit_callbacks(execute=True):
            imported(LONDON)
            assert heard == []
        assert len(heard) == 1


def test_import_list__what_fails_is_not_announced(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def failing(*_: Any) -> None:
        raise ImportFailed("stopped")

    with receiving(blocklist_changed) as heard, django_capture_on_commit_callbacks(execute=True):
        with monkeypatch.context() as patched:
            patched.setattr(apply.Import, "complete", failing)
            with pytest.raises(ImportFailed):
                imported(LONDON)
        assert imported(LONDON).added_count == 1
    # What the first attempt wrote is counted by the one that completes it.
    assert [one["added_count"] for one in heard] == [1]
