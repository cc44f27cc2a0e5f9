from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from geocache.exceptions import ProviderError
from geocache.history.spans import past_spans
from geocache.journal.flush import flush_dirty
from geocache.location import Location, dump_locations
from geocache.lookup import lookup
from geocache.maintenance import licence
from geocache.maintenance.licence import LicenceReport, count_due
from geocache.models import AnswerHistory, GeoCache, RejectedEntry
from geocache.providers import factory
from tests.factories import CITY_RECORD, LONDON, a_location, a_row, an_mmdb, many_locations

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
OTHER = "2.125.160.216"


def label(days: float, name: str = "GeoLite2-City") -> str:
    return f"{name} {NOW - days * DAY:%Y-%m-%d}"


OLD, NEWER = label(40), label(2)


def a_database(folder: Path, days: float, name: str = "GeoLite2-City", **records: Any) -> Path:
    epoch = int((NOW - days * DAY).timestamp())
    given = records or {"81.2.69.0/24": CITY_RECORD}
    return an_mmdb(folder / f"{name}.mmdb", given, database_type=name, build_epoch=epoch)


@pytest.fixture
def database(tmp_path: Path, settings: Any) -> Path:
    return use(settings, a_database(tmp_path, 2))


def use(settings: Any, *paths: Path, **more: Any) -> Path:
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [str(path) for path in paths], **more}
    return paths[0]


def run(**options: Any) -> LicenceReport:
    return licence.clean_up(**{"time_limit_seconds": 60} | options)


def history(source: str, until: float = 5, address: str = LONDON, **fields: Any) -> AnswerHistory:
    given = {"country_code": "GB", "city": "Leeds", "new_city": "London", "new_country_code": "GB"}
    return AnswerHistory.objects.create(
        address=address,
        source=source,
        resolved_at=NOW - 50 * DAY,
        valid_until=NOW - until * DAY,
        **{"valid_from": NOW - 60 * DAY} | given | fields,
    )


@pytest.mark.usefixtures("database")
def test_clean_up__refreshes_rows_of_a_build_that_is_outdated() -> None:
    a_row(source=OLD, city="Leeds")
    created_at = GeoCache.objects.get().created_at
    report = run()
    row = GeoCache.objects.get()
    assert (row.city, row.source, row.created_at) == ("Testville", NEWER, created_at)
    assert (report.refreshed, report.removed, report.is_complete) == (1, 0, True)
    # What was replaced is data of the old build, too.
    assert report.history == 1
    assert not AnswerHistory.objects.exists()
    assert run().refreshed == 0


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "source",
    [
        NEWER,
        label(29),
        "GeoLite2-City 2019-12-17",
        label(400, "GeoIP2-City"),
        label(400, "DBIP-City-Lite"),
        "ip-api.com",
        "#1a2b3c4d",
    ],
)
def test_clean_up__touches_nothing_that_may_be_kept(source: str) -> None:
    a_row(source=source, city="Leeds")
    history(source)
    report = run()
    assert GeoCache.objects.get().city == "Leeds"
    assert AnswerHistory.objects.get().new_city == "London"
    assert (report.refreshed, report.removed, report.history) == (0, 0, 0)


@pytest.mark.usefixtures("database")
def test_clean_up__source_of_which_a_part_is_outdated() -> None:
    a_row(source=f"{label(100, 'DBIP-ASN-Lite')}, {OLD}")
    assert run().refreshed == 1
    assert GeoCache.objects.get().source == NEWER


def test_clean_up__present_build_is_kept_however_old(tmp_path: Path, settings: Any) -> None:
    use(settings, a_database(tmp_path, 90))
    a_row(source=label(90), city="Leeds")
    a_row(OTHER, source=label(120))
    # As another machine has written it, or before a step back to an older file.
    a_row("81.2.69.1", source=label(40), city="Leeds")
    assert run().refreshed == 1
    assert GeoCache.objects.get(pk=LONDON).city == "Leeds"
    assert GeoCache.objects.get(pk="81.2.69.1").city == "Leeds"


def test_clean_up__row_without_a_new_answer_is_removed(tmp_path: Path, settings: Any) -> None:
    """A metered provider is asked for nothing that costs."""
    a_row(source=OLD, city="Leeds")
    a_row(OTHER, source=OLD)
    kept = history(label(300, "DBIP-City-Lite"), country_code="DE", city="Bonn")
    use_chain(settings, a_database(tmp_path, 2))
    report = run()
    assert (report.refreshed, report.removed, report.is_complete) == (1, 1, True)
    assert GeoCache.objects.get().pk == LONDON
    # The history that another database gave stays, without what the removed build said.
    kept.refresh_from_db()
    assert (kept.city, kept.new_city) == ("Bonn", "")


def test_clean_up__history_of_others_no_longer_names_what_was_removed(
    tmp_path: Path, settings: Any
) -> None:
    a_row(OTHER, source=OLD)
    kept = history(label(300, "DBIP-City-Lite"), address=OTHER, new_asn=64500)
    use_chain(settings, a_database(tmp_path, 2))
    assert run().removed == 1
    kept.refresh_from_db()
    assert (kept.city, kept.new_city, kept.new_asn) == ("Leeds", "", None)


def use_chain(settings: Any, path: Path, *, is_nested: bool = False) -> None:
    mmdb: dict[str, Any] = {
        "BACKEND": "geocache.providers.mmdb.MmdbProvider",
        "OPTIONS": {"databases": [str(path)]},
    }
    if is_nested:
        mmdb = {
            "BACKEND": "geocache.providers.chain.ChainProvider",
            "OPTIONS": {"providers": [mmdb]},
        }
    paid = {
        "BACKEND": "geocache.providers.dummy.DummyProvider",
        "OPTIONS": {"is_metered": True, "answers": {OTHER: {"city": "Paid"}}},
    }
    chain = {
        "BACKEND": "geocache.providers.chain.ChainProvider",
        "OPTIONS": {"providers": [mmdb, paid]},
    }
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": chain}
    assert factory.current().is_metered


@pytest.mark.usefixtures("database")
def test_clean_up__history_entry_and_what_the_one_before_it_says_of_it() -> None:
    a_row(source=NEWER)
    first = history(label(300, "DBIP-City-Lite"), until=50, city="Bonn", new_city="Leeds")
    gone = history(OLD, until=5, valid_from=first.valid_until)
    assert run().history == 1
    assert not AnswerHistory.objects.filter(pk=gone.pk).exists()
    first.refresh_from_db()
    assert (first.city, first.new_city) == ("Bonn", "")
    assert [span.answer.city for span in past_spans(LONDON)] == ["Bonn"]


@pytest.mark.usefixtures("database")
def test_clean_up__rejected_entry() -> None:
    for source in (OLD, NEWER):
        record = dump_locations([a_location(source=source)])
        RejectedEntry.objects.create(address=LONDON, record=record, error="x")
    RejectedEntry.objects.create(record="unreadable", error="x")
    assert run().rejected == 1
    assert RejectedEntry.objects.count() == 2


def test_clean_up__provider_that_fails_removes_nothing(database: Path) -> None:
    a_row(source=OLD)
    history(OLD)
    factory.current.cache_clear()
    database.unlink()
    with pytest.raises(ProviderError):
        run()
    assert GeoCache.objects.exists()
    assert AnswerHistory.objects.exists()


def test_clean_up__member_of_a_nested_chain_that_fails_removes_nothing(
    tmp_path: Path, settings: Any
) -> None:
    a_row(source=OLD)
    path = a_database(tmp_path, 2)
    use_chain(settings, path, is_nested=True)
    factory.current.cache_clear()
    path.unlink()
    with pytest.raises(ProviderError):
        run()
    assert GeoCache.objects.exists()


def test_clean_up__free_provider_that_fails_meanwhile_removes_nothing(
    tmp_path: Path, settings: Any, monkeypatch: Any
) -> None:
    """Its answers are only missing for now; a paid one would have to be asked for them."""

    def fail(*_: Any) -> Location:
        raise ProviderError("damaged")

    a_row(source=OLD)
    use_chain(settings, a_database(tmp_path, 2))
    monkeypatch.setattr("geocache.providers.mmdb.MmdbProvider.resolve_into", fail)
    with pytest.raises(ProviderError):
        run()
    assert GeoCache.objects.exists()


def test_clean_up__sample_takes_no_place(tmp_path: Path, settings: Any) -> None:
    """A folder that is not mounted must not have years-old answers replace those of last month."""
    folder = tmp_path / "_geoip_geolite2"
    folder.mkdir()
    use(settings, a_database(folder, 2600))
    a_row(source=OLD, city="Leeds")
    history(OLD)
    assert count_due().is_complete
    assert run().is_complete
    assert GeoCache.objects.get().city == "Leeds"
    assert AnswerHistory.objects.exists()


def test_clean_up__asks_no_provider_where_nothing_has_to_go(database: Path) -> None:
    a_row(source=label(400, "DBIP-City-Lite"))
    factory.current.cache_clear()
    database.unlink()
    assert run().is_complete


@pytest.mark.usefixtures("database")
def test_clean_up__geolite_service_counts_from_the_answer() -> None:
    name = "MaxMind GeoLite city service"
    a_row(source=name, resolved_at=NOW - 31 * DAY)
    a_row(OTHER, source=name, resolved_at=NOW - 29 * DAY)
    assert run().refreshed == 1
    assert GeoCache.objects.get(pk=OTHER).source == name


@pytest.mark.usefixtures("database")
def test_clean_up__goes_on_where_it_was_stopped(monkeypatch: Any) -> None:
    monkeypatch.setattr(licence, "BATCH_ROWS", 10)
    monkeypatch.setattr(licence, "CHUNK_ROWS", 20)
    GeoCache.objects.upsert(many_locations(50, source=OLD))
    stops = iter([False, False, False, True])
    report = run(is_stopped=lambda: next(stops))
    assert (report.refreshed, report.is_complete) == (20, False)
    # The third batch was resolved, and is in the journal.
    flush_dirty()
    assert GeoCache.objects.filter(source=OLD).count() == 20
    rest = run()
    assert (rest.refreshed, rest.is_complete) == (20, True)
    assert set(GeoCache.objects.values_list("source", flat=True)) == {NEWER}


@pytest.mark.usefixtures("database")
def test_count_due__says_what_would_go_and_changes_nothing() -> None:
    a_row(source=OLD)
    a_row(OTHER, source=NEWER)
    history(OLD)
    report = count_due()
    assert (report.removed, report.history, report.is_complete) == (1, 1, False)
    assert GeoCache.objects.filter(source=OLD).count() == 1


def test_removed_row__is_not_answered_from_its_hot_entry(tmp_path: Path, settings: Any) -> None:
    a_row(OTHER, source=OLD, city="Leeds", resolved_at=NOW - DAY, network="")
    use_chain(settings, a_database(tmp_path, 2))
    # A paid look-up is answered by the row, which becomes a hot entry of the present build.
    assert lookup(OTHER).city == "Leeds"
    assert run().removed == 1
    assert isinstance(answer := lookup(OTHER), Location)
    assert answer.city == "Paid"
