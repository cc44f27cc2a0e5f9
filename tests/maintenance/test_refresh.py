from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from geocache.exceptions import MeteredProvider, ProviderError
from geocache.location import NOT_FOUND
from geocache.lookup import hot_entries
from geocache.maintenance import refresh
from geocache.maintenance.refresh import RefreshReport, due_addresses
from geocache.models import GeoCache
from geocache.providers import factory
from geocache.providers.dummy import DummyProvider
from tests.factories import LONDON, MOSCOW_V6, a_row, many_locations, use_dummy_provider

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime.now(UTC)
LEEDS = {"country_code": "GB", "city": "Leeds"}


def run(**options: Any) -> RefreshReport:
    return refresh.refresh(time_limit_seconds=60, **options)


def due() -> list[str]:
    return list(due_addresses(factory.current(), NOW))


def a_young_row(address: str = LONDON, **fields: Any) -> GeoCache:
    return a_row(address, **{"resolved_at": NOW - timedelta(hours=1)} | fields)


@pytest.fixture
def provider(settings: Any) -> DummyProvider:
    return use_dummy_provider(settings, answers={LONDON: LEEDS, MOSCOW_V6: {"city": "Moscow"}})


@pytest.mark.usefixtures("provider")
def test_due__row_of_the_present_build_is_not() -> None:
    a_young_row()
    assert due() == []


def test_due__row_of_an_older_build_is_at_once(provider: DummyProvider) -> None:
    a_young_row()
    provider.version = "2"
    assert due() == [LONDON]


def test_due__row_of_several_databases_one_of_which_is_newer_now(provider: DummyProvider) -> None:
    a_young_row(source="Dummy 1, Other 1")
    a_young_row(MOSCOW_V6, source="Dummy 1")
    assert due() == [LONDON]
    assert provider.asked == []


@pytest.mark.usefixtures("provider")
def test_due__old_row_is(settings: Any) -> None:
    a_young_row()
    settings.GEOCACHE = {**settings.GEOCACHE, "ROW_TTL_SECONDS": 3000}
    use_dummy_provider(settings)
    assert due() == [LONDON]


@pytest.mark.parametrize(
    ("first_days", "last_days", "is_due"),
    [
        (0.5, 0.5, False),  # younger than NOT_FOUND_TTL_SECONDS
        (2, 2, True),  # asked once, two days ago
        (10, 4, False),  # it took six days to the last time: six more
        (10, 6, True),
        (900, 80, True),  # never longer than LONGEST_PAUSE
        (900, 50, False),
    ],
)
@pytest.mark.usefixtures("provider")
def test_due__unresolved_row_is_after_a_pause_that_doubles(
    first_days: float, last_days: float, is_due: bool
) -> None:
    a_young_row(resolved_at=NOW - timedelta(days=last_days), reason=NOT_FOUND)
    GeoCache.objects.update(created_at=NOW - timedelta(days=first_days))
    assert due() == ([LONDON] if is_due else [])


def test_due__each_row_once_although_it_is_due_for_all_reasons(provider: DummyProvider) -> None:
    a_row(reason=NOT_FOUND, resolved_at=NOW - timedelta(days=400))
    provider.version = "2"
    assert due() == [LONDON]


def test_due__all_of_many_pages_of_one_moment(
    provider: DummyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "BATCH_ROWS", 7)
    GeoCache.objects.upsert(many_locations(50))
    provider.version = "2"
    assert len(due()) == len(set(due())) == 50


def test_refresh__writes_the_new_answers_to_the_table(provider: DummyProvider) -> None:
    a_young_row()
    provider.version = "2"
    report = run()
    assert (report.resolved, report.failed, report.is_complete) == (1, 0, True)
    row = GeoCache.objects.get()
    assert (row.city, row.source) == ("Leeds", "Dummy 2")
    assert run().resolved == 0


def test_refresh__cache_is_not_filled_with_what_nobody_asks_for(provider: DummyProvider) -> None:
    a_young_row()
    provider.version = "2"
    run()
    assert hot_entries.get_many(provider.build(), [LONDON]) == {}


def test_refresh__metered_provider_only_when_that_is_said(provider: DummyProvider) -> None:
    for address in (LONDON, MOSCOW_V6):
        a_young_row(address)
    provider.version = "2"
    provider.is_metered = True
    with pytest.raises(MeteredProvider):
        run()
    assert provider.asked == []
    report = run(is_metered=True, limit=1)
    assert (report.resolved, report.is_complete) == (1, False)
    assert len(provider.asked) == 1
    # Other processes would go on with the old answer.
    assert len(hot_entries.get_many(provider.build(), provider.asked)) == 1


def test_refresh__metered_provider_is_asked_within_its_budget(provider: DummyProvider) -> None:
    GeoCache.objects.upsert(many_locations(10))
    provider.version, provider.is_metered, provider.queries_per_day = "2", True, 3
    report = run(is_metered=True, limit=20)
    assert (report.resolved, report.failed, report.is_complete) == (3, 7, False)
    assert len(provider.asked) == 3
    with pytest.raises(ProviderError, match="nothing is left of today's queries"):
        run(is_metered=True, limit=20)
    assert len(provider.asked) == 3
    assert GeoCache.objects.filter(source="Dummy 2").count() == 3


def test_refresh__metered_answers_are_recorded_every_few_rows(provider: DummyProvider) -> None:
    GeoCache.objects.upsert(many_locations(120))
    provider.version, provider.is_metered = "2", True
    watched: list[int] = []
    report = run(is_metered=True, limit=500, watch=watched.append)
    assert (report.is_complete, watched) == (True, [50, 50, 20])


def test_refresh__failure_leaves_the_rows_as_they_were(provider: DummyProvider) -> None:
    a_young_row()
    provider.version = "2"
    provider.is_failing = True
    with pytest.raises(ProviderError):
        run()
    assert GeoCache.objects.get().city == "London"


def test_refresh__failure_on_the_way_keeps_what_was_resolved(
    provider: DummyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "BATCH_ROWS", 5)
    GeoCache.objects.upsert(many_locations(20))
    provider.version = "2"

    def fail(_: int) -> None:
        provider.is_failing = len(provider.asked) >= 10

    with pytest.raises(ProviderError):
        run(watch=fail)
    assert GeoCache.objects.filter(source="Dummy 2").count() == 10


def test_refresh__time_limit_and_stopping(
    provider: DummyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "BATCH_ROWS", 5)
    GeoCache.objects.upsert(many_locations(20))
    provider.version = "2"
    report = refresh.refresh(time_limit_seconds=-1)
    assert (report.resolved, report.is_complete) == (0, False)
    report = run(is_stopped=lambda: len(provider.asked) >= 10)
    assert (report.resolved, report.is_complete) == (10, False)
    assert run() == RefreshReport(10, 0, pytest.approx(0, abs=60), is_complete=True)
