from typing import Any

import pytest

from geocache.history import moves
from geocache.history.moves import MoveReport, count_moves
from geocache.models import GeoCache
from tests.factories import LONDON, MOSCOW_V6, a_location, many_locations, use_dummy_provider
from tests.support.assertions import no_database_write

pytestmark = pytest.mark.django_db


def test_count_moves__compares_in_batches_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(moves, "BATCH_ROWS", 2)
    answers = {one: {"country_code": "GB", "city": "London"} for one in (LONDON, MOSCOW_V6)}
    use_dummy_provider(settings, answers=answers)
    seen: list[int] = []
    GeoCache.objects.upsert([a_location(), a_location(MOSCOW_V6, city="Leeds"), *many_locations(1)])
    with no_database_write(max_queries=2):
        report = count_moves(watch=seen.append)
    # What is not found any more has moved, too.
    by_kind = {"city": 2, "country": 1}
    assert report == MoveReport(compared=3, moved=2, is_complete=True, by_kind=by_kind)
    assert seen == [2, 1]


def test_count_moves__says_when_it_stopped_early(settings: Any) -> None:
    use_dummy_provider(settings)
    GeoCache.objects.upsert([a_location()])
    assert count_moves(time_limit_seconds=0) == MoveReport()
    assert count_moves(is_stopped=lambda: True) == MoveReport()


def test_count_moves__what_costs_is_not_asked(settings: Any) -> None:
    use_dummy_provider(settings, is_metered=True)
    assert count_moves() is None
