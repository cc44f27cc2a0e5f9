from typing import Any
from unittest.mock import Mock

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import OperationalError
from django.test import SimpleTestCase
from structlog.testing import capture_logs

from geocache.exceptions import JournalUnavailable
from geocache.journal import spill_buffer, table_writer, writer
from geocache.journal.flush import flush_dirty
from geocache.journal.recorder import record
from geocache.models import GeoCache, GeoCacheQuerySet, RejectedEntry
from tests.factories import a_location, many_locations

pytestmark = pytest.mark.django_db


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let cache, database or both be away, until they are named no more."""

    def away(*names: str) -> None:
        monkeypatch.undo()
        if "cache" in names:
            monkeypatch.setattr(writer, "append", _no_journal)
        if "database" in names:
            monkeypatch.setattr(GeoCacheQuerySet, "upsert", _no_database)

    return away


def _no_journal(*_: Any) -> None:
    raise JournalUnavailable("the cache cannot be reached")


def _no_database(*_: Any) -> None:
    raise OperationalError("connection refused")


def addresses() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


def test_record__journals_and_writes_nothing_to_the_database() -> None:
    record([a_location()])

    assert not GeoCache.objects.exists()
    assert flush_dirty().flushed == 1


def test_record__without_cache_writes_through_and_says_so_once(away: Any) -> None:
    away("cache")

    with capture_logs() as logs:
        for location in many_locations(5):
            record([location])

    assert GeoCache.objects.count() == 5
    assert [entry["event"] for entry in logs] == ["geo_cache_written_through"]


def test_record__without_cache_and_database_keeps_answers_and_says_how_many(away: Any) -> None:
    away("cache", "database")
    with capture_logs() as logs:
        record(many_locations(5))
    away()

    record([a_location("30.0.0.1")])
    flush_dirty()

    assert logs[0]["event"] == "geo_answers_unrecorded"
    assert logs[0]["kept"] == 5
    assert addresses() == {one.address for one in many_locations(5)} | {"30.0.0.1"}


def test_record__what_was_kept_goes_to_the_table_when_only_that_is_back(away: Any) -> None:
    away("cache", "database")
    record(many_locations(5))
    away("cache")

    record([a_location("30.0.0.1")])

    assert GeoCache.objects.count() == 6


def test_record__gives_up_the_oldest_beyond_its_limit_and_counts_them(away: Any) -> None:
    limit = spill_buffer.MAX_ANSWERS
    away("cache", "database")
    record(many_locations(limit))
    record([a_location("30.0.0.1"), a_location("30.0.0.2")])
    away()

    record([a_location("30.0.0.3")])

    assert spill_buffer.unrecorded() == 2
    assert flush_dirty().flushed == limit + 1


def test_record__a_value_that_no_database_takes_does_not_reach_the_caller(away: Any) -> None:
    away("cache")

    record([a_location(asn=2**70)])

    assert RejectedEntry.objects.count() == 1


@pytest.mark.parametrize(
    "error", [SynchronousOnlyOperation(), RuntimeError("not allowed, use the mark")], ids=repr
)
def test_record__a_database_that_may_not_be_asked_does_not_reach_the_caller(
    away: Any, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    away("cache")
    monkeypatch.setattr(table_writer, "write", Mock(side_effect=error))

    record([a_location()])

    assert len(spill_buffer.buffer.take()[0]) == 1


def test_record__without_cache_in_a_simple_test_case_does_not_reach_the_caller(away: Any) -> None:
    away("cache")
    SimpleTestCase.setUpClass()
    try:
        record([a_location()])
    finally:
        SimpleTestCase.doClassCleanups()

    assert len(spill_buffer.buffer.take()[0]) == 1


def test_record__answers_that_are_refused_without_cache_are_put_aside(away: Any) -> None:
    away("cache")
    with capture_logs() as logs:
        record([a_location(f"30.0.0.{n}", asn=2**70) for n in range(3)])

    assert RejectedEntry.objects.count() == 3
    assert ("geo_answers_rejected", 3) in [(one["event"], one.get("rejected")) for one in logs]
    assert spill_buffer.buffer.take() == ([], 0)


def test_record__a_bug_drops_nothing_that_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    spill_buffer.buffer.put([a_location("20.0.0.1")], 3)
    monkeypatch.setattr(writer, "append", lambda *_: 1 + "")
    with pytest.raises(TypeError):
        record([a_location("20.0.0.2")])
    kept, dropped_count = spill_buffer.buffer.take()
    assert ([one.address for one in kept], dropped_count) == (["20.0.0.1"], 3)
