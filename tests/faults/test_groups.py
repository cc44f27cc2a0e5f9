"""Groups of hosts with a Redis each fill one table: flushed by one scheduler, each by itself."""

import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.utils import timezone
from structlog.testing import capture_logs

from geocache import signals
from geocache.cache import backends
from geocache.exceptions import FlushError, JournalUnavailable, PartlyFlushed
from geocache.health.findings import find
from geocache.jobs import run_job
from geocache.journal import backlog, flush, segments, writer
from geocache.journal.flush import flush_dirty
from geocache.location import EPOCH, dump_locations
from geocache.lookup import hot_entries, lookup
from geocache.maintenance.forget import forget
from geocache.models import FlushRun, GeoCache, JournalHead, SchedulerLease
from geocache.models.connection import database_id
from geocache.providers import factory
from geocache.status import read_status
from tests.factories import a_location, use_dummy_provider
from tests.support.cache_set_ups import djangos
from tests.support.redis_groups import GROUPS, be_host, two_groups
from tests.support.redis_process import RedisServer

pytestmark = [pytest.mark.cache_decides, pytest.mark.slow, pytest.mark.django_db]
Servers = dict[str, RedisServer]


@pytest.fixture
def servers(tmp_path: Path, settings: Any) -> Iterator[Servers]:
    use_dummy_provider(settings)
    with two_groups(tmp_path, settings) as started:
        yield started


def journal(settings: Any, alias: str, *addresses: str) -> None:
    """Record answers on a web host of a group."""
    be_host(settings, alias)
    for address in addresses:
        writer.process_writer.append(dump_locations([a_location(address)]), answer_count=1)


def be_scheduler(settings: Any) -> None:
    be_host(settings, GROUPS[0], GROUPS)


def stored() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


def addresses(first: int, count: int) -> list[str]:
    return [f"20.{first}.{n >> 8}.{n & 255}" for n in range(count)]


# --- flush -------------------------------------------------------------------------------------


def test_flush_dirty__of_two_groups(servers: Servers, settings: Any) -> None:
    journal(settings, "group_a", *addresses(1, 30))
    journal(settings, "group_b", *addresses(2, 20))
    be_scheduler(settings)
    assert backlog.read_backlog().answer_count == 50

    report = flush_dirty()
    assert (report.flushed, report.pending, report.lost, report.timed_out) == (50, 0, 0, False)
    assert stored() == {*addresses(1, 30), *addresses(2, 20)}
    names = {f"{alias}:{database_id()}" for alias in GROUPS}
    assert set(JournalHead.objects.values_list("alias", flat=True)) == names
    for server in servers.values():
        with server.client() as client:
            assert not [key for key in client.scan_iter("*:r:*") if client.get(key) != b"SEAL"]


def test_flush_dirty__one_cache_away_keeps_no_other_waiting(
    servers: Servers, settings: Any
) -> None:
    journal(settings, "group_a", *addresses(1, 3))
    journal(settings, "group_b", *addresses(2, 3))
    servers["group_a"].stall()
    servers["group_a"].kill()
    be_scheduler(settings)

    with pytest.raises(PartlyFlushed, match=r"^group_a: the cache cannot be reached"):
        flush_dirty()
    assert stored() == set(addresses(2, 3))
    failed, done = FlushRun.objects.order_by("started_at")
    assert failed.error.startswith("group_a: ")
    assert (done.error, done.flushed) == ("", 3)


def test_flush_dirty__all_caches_away_is_no_partial_flush(servers: Servers, settings: Any) -> None:
    for server in servers.values():
        server.kill()
    be_scheduler(settings)
    with pytest.raises(FlushError, match=r"group_a: .*; group_b: ") as raised:
        flush_dirty()
    assert not isinstance(raised.value, PartlyFlushed)


@pytest.mark.usefixtures("servers")
def test_flush_dirty__shares_the_time_limit(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "BATCH_ANSWERS", 1)
    monkeypatch.setattr(segments, "RECORDS_PER_SEGMENT", 1)
    for number, alias in enumerate(GROUPS, 1):
        journal(settings, alias, *addresses(number, 200))
    write = flush.table_writer.write

    def slow_write(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.02)
        return write(*arguments, **options)

    monkeypatch.setattr(flush.table_writer, "write", slow_write)
    be_scheduler(settings)
    report = flush_dirty(1.0)
    assert report.timed_out
    of_each = [sum(one.startswith(f"20.{number}.") for one in stored()) for number in (1, 2)]
    assert min(of_each) >= max(of_each) / 3 > 0
    # Counted by a sample.
    assert report.pending > 200


@pytest.mark.usefixtures("servers")
def test_flush_dirty__time_that_one_group_does_not_need_is_for_the_other(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[tuple[str, float]] = []

    def flush_one(
        alias: str, seconds: float, *_: object, **__: object
    ) -> tuple[flush.FlushReport, str]:
        shares.append((alias, seconds))
        is_first = [one for one, _ in shares].count(alias) == 1
        return flush.FlushReport(timed_out=alias == "group_a" and is_first, flushed=1), ""

    monkeypatch.setattr(flush, "_flush_one", flush_one)
    be_scheduler(settings)
    report = flush_dirty(10)
    assert [alias for alias, _ in shares] == ["group_a", "group_b", "group_a"]
    assert [round(seconds) for _, seconds in shares] == [5, 10, 10]
    assert (report.flushed, report.timed_out) == (3, False)


@pytest.mark.usefixtures("servers")
def test_flush_dirty__a_receiver_journals_in_its_own_cache(settings: Any) -> None:
    journal(settings, "group_b", "20.2.0.1")
    be_host(settings, "group_a", ("group_b",))

    def look_up(**_: object) -> None:
        lookup("20.9.9.9")

    signals.flush_finished.connect(look_up)
    try:
        flush_dirty()
    finally:
        signals.flush_finished.disconnect(look_up)
    assert backlog.read_journal("group_a").answer_count == 1
    with backends.using("group_b"):
        # Also in the middle of a flush.
        lookup("20.9.9.10")
    assert backlog.read_journal("group_a").answer_count == 2
    assert backlog.read_journal("group_b").answer_count == 0


def test_geo_cache_flush__fails_with_the_group_that_is_away(
    servers: Servers, settings: Any
) -> None:
    journal(settings, "group_b", "20.2.0.1")
    servers["group_a"].kill()
    be_scheduler(settings)
    report = run_job("geo_cache_flush")
    assert report["status"] == "failed"
    assert report["error"].startswith("group_a: ")
    assert stored() == {"20.2.0.1"}


@pytest.mark.usefixtures("servers")
def test_flush_geo__one_cache_alone(settings: Any) -> None:
    journal(settings, "group_a", "20.1.0.1")
    journal(settings, "group_b", "20.2.0.1")
    be_scheduler(settings)
    call_command("flush_geo", "--cache", "group_b")
    assert stored() == {"20.2.0.1"}
    with pytest.raises(CommandError, match="one of group_a, group_b"):
        call_command("flush_geo", "--cache", "group_c")


# --- state -------------------------------------------------------------------------------------


def test_read_status__of_two_groups(servers: Servers, settings: Any) -> None:
    journal(settings, "group_a", "20.1.0.1")
    journal(settings, "group_b", "20.2.0.1", "20.2.0.2")
    be_scheduler(settings)
    status = read_status()
    assert status.pending_count == 3
    assert {one.alias: one.pending_count for one in status.journals} == {"group_a": 1, "group_b": 2}

    servers["group_b"].kill()
    status = read_status()
    assert (status.pending_count, status.problems) == (1, ())
    [finding] = [one for one in find(status, timezone.now()) if one.subject == "group_b"]
    assert finding.is_critical
    assert finding.text.startswith("group_b cannot be read: ")


@pytest.mark.usefixtures("servers")
def test_find__each_journal_has_a_limit_of_its_own(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BACKLOG_LIMIT": 4}
    journal(settings, "group_a", "20.1.0.1")
    journal(settings, "group_b", "20.2.0.1", "20.2.0.2")
    be_scheduler(settings)
    found = [one for one in find(read_status(), timezone.now()) if one.part == "journal"]
    assert [(one.subject, one.level) for one in found] == [("group_b", "warning")]
    assert found[0].text.startswith("group_b: 2 answers wait to be flushed, of 4 that may")


# --- forget ------------------------------------------------------------------------------------


def hot_in(settings: Any, alias: str, address: str) -> bool:
    be_host(settings, alias)
    return hot_entries.get(factory.current().build(), address) is not None


@pytest.mark.usefixtures("servers")
def test_forget__vanishes_from_the_hot_entries_of_each_group(settings: Any) -> None:
    for alias in GROUPS:
        be_host(settings, alias)
        lookup("20.1.0.1")
        assert hot_in(settings, alias, "20.1.0.1")
    be_scheduler(settings)
    assert forget(["20.1.0.1"]) == 1
    assert not any(hot_in(settings, alias, "20.1.0.1") for alias in GROUPS)
    assert not stored()


def test_forget__deletes_nothing_while_a_group_is_away(servers: Servers, settings: Any) -> None:
    for alias in GROUPS:
        be_host(settings, alias)
        lookup("20.1.0.1")
    be_scheduler(settings)
    flush_dirty()
    servers["group_b"].kill()
    with pytest.raises(FlushError, match="group_b"):
        forget(["20.1.0.1"])
    assert stored() == {"20.1.0.1"}
    assert hot_in(settings, "group_a", "20.1.0.1")


# --- names -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("servers")
def test_flush_dirty__one_cache_under_two_names(settings: Any) -> None:
    settings.CACHES = {**settings.CACHES, "other": settings.CACHES["group_b"]}
    journal(settings, "group_b", "20.2.0.1")
    be_host(settings, "group_b")
    flush_dirty()
    journal(settings, "other", "20.2.0.2")
    with capture_logs() as logs:
        report = flush_dirty()
    assert (report.flushed, report.lost, report.pending) == (1, 0, 0)
    [logged] = logs
    assert logged["event"] == "geo_journal_alias_shared"
    assert "is flushed as 'group_b' by another host, and is 'other'" in logged["error"]
    assert "geocache.W091" in ids()
    assert JournalHead.objects.get().alias == f"group_b:{database_id()}"

    journal(settings, "group_b", "20.2.0.3")
    assert flush_dirty().flushed == 1
    assert "geocache.W091" not in ids()


@pytest.fixture
def be_web_host_of(servers: Servers, settings: Any) -> Callable[[str], None]:
    def be_one(group: str) -> None:
        settings.CACHES = {**settings.CACHES, "shared": djangos(servers[group].url)}
        be_host(settings, "shared")

    return be_one


def test_flush_dirty__two_caches_under_one_name(
    be_web_host_of: Callable[[str], None], settings: Any
) -> None:
    groups, numbers = ("group_a", "group_b"), range(1, 9)
    for number in numbers:
        # As two machines flush in turn, or a cache was moved and the old one still has answers.
        be_web_host_of(groups[number % 2])
        journal(settings, "shared", *addresses(number, 5))
        with capture_logs() as logs:
            report = flush_dirty()
        assert (report.flushed, report.lost, report.pending) == (5, 0, 0)
        # The second cache has the alias from its first flush on: it may as well have been emptied.
        is_said = number % 2 and number > 1
        assert [one["event"] for one in logs if one["event"] != "geo_journal_counter_lost"] == (
            ["geo_journal_alias_shared"] if is_said else []
        )
    assert stored() == {one for number in numbers for one in addresses(number, 5)}


def test_flush_dirty__two_caches_under_one_name_with_the_same_tickets(
    be_web_host_of: Callable[[str], None], settings: Any
) -> None:
    for number, group in enumerate(("group_a", "group_b"), 1):
        be_web_host_of(group)
        # Each is given its first ticket in the same quarter of a second.
        backends.current().set(segments.key(segments.Name.TICKET), 7 * segments.SEED_STEP, None)
        journal(settings, "shared", *addresses(number, 5))
        assert flush_dirty().flushed == 5


def flush_in_turn(be_web_host_of: Callable[[str], None], settings: Any) -> None:
    """Flush two caches under one alias, the first one again after the second."""
    for number, group in enumerate(("group_a", "group_b", "group_a"), 1):
        be_web_host_of(group)
        journal(settings, "shared", *addresses(number, 5))
        flush_dirty()


def test_flush_dirty__takes_an_alias_back(
    be_web_host_of: Callable[[str], None], settings: Any
) -> None:
    flush_in_turn(be_web_host_of, settings)
    assert "geocache.W091" in ids()
    expire_leases()
    assert "geocache.W091" not in ids()
    for number, group in enumerate(("group_a", "group_b", "group_a"), 4):
        be_web_host_of(group)
        journal(settings, "shared", *addresses(number, 5))
        report = flush_dirty()
        assert (report.flushed, report.lost) == (5, 0)
    assert len(JournalHead.objects.all()) == 2


def test_flush_dirty__a_cache_that_lost_its_alias_gets_one_of_its_own(
    be_web_host_of: Callable[[str], None], settings: Any
) -> None:
    flush_in_turn(be_web_host_of, settings)
    journal(settings, "group_a", *addresses(4, 5))
    with capture_logs() as logs:
        report = flush_dirty()
    assert (report.flushed, report.lost, logs) == (5, 0, [])


def test_flush_dirty__an_id_that_cannot_be_read(servers: Servers, settings: Any) -> None:
    journal(settings, "group_a", "20.1.0.1")
    flush_dirty()
    with servers["group_a"].client() as client:
        # As another serializer has written it: PostgreSQL takes no zero byte.
        [name] = client.scan_iter("*:id")
        client.set(name, pickle.dumps("j0123456789abcdef"))
    for number in (2, 3):
        journal(settings, "group_a", f"20.1.0.{number}")
        with capture_logs() as logs:
            assert flush_dirty().flushed == 1
        assert logs == []
    assert JournalHead.objects.count() == SchedulerLease.objects.count() == 1


@pytest.mark.usefixtures("servers")
def test_flush_dirty__goes_on_under_a_new_name(settings: Any) -> None:
    settings.CACHES = {**settings.CACHES, "new": settings.CACHES["group_b"]}
    journal(settings, "group_b", "20.2.0.1")
    flush_dirty()
    before = JournalHead.objects.get().flushed_through
    expire_leases()
    journal(settings, "new", "20.2.0.2")
    report = flush_dirty()
    assert (report.flushed, report.lost) == (1, 0)
    head = JournalHead.objects.get()
    assert head.alias == f"new:{database_id()}"
    assert head.flushed_through > before


def expire_leases() -> None:
    SchedulerLease.objects.update(expires_at=EPOCH)


def ids() -> set[str | None]:
    return {one.id for one in checks.run_checks(databases=["default"])}


@pytest.mark.usefixtures("servers")
def test_check_journal_names__a_group_that_this_host_does_not_name(settings: Any) -> None:
    be_scheduler(settings)
    flush_dirty()
    assert "geocache.W092" not in ids()
    be_host(settings, "group_a")
    [message] = [
        one for one in checks.run_checks(databases=["default"]) if one.id == "geocache.W092"
    ]
    assert message.msg.startswith("The table is also filled from group_b, ")


def test_open_journal__raises_for_an_alias_that_is_missing(settings: Any) -> None:
    be_host(settings, "geocache", ("gone",))
    with (
        backends.using("gone"),
        pytest.raises(JournalUnavailable, match="gone"),
        segments.open_journal(),
    ):
        pass
