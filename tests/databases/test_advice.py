from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from geocache.databases.advice import advice_for, licence_sentence
from geocache.databases.update import folder
from geocache.providers.base import Source

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def a_source(path: Path | None = None, **fields: Any) -> Source:
    return Source(**{"name": "DBIP-City-Lite", "built_at": NOW, "path": path} | fields)


def use(settings: Any, **given: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, **given}


def test_advice_for__file_that_updates_fetch(settings: Any) -> None:
    fetched = a_source(folder() / "dbip-city-lite.mmdb")
    assert advice_for(fetched) == "Run manage.py update_geo, which needs no account."
    use(settings, MAXMIND_ACCOUNT_ID="1", MAXMIND_LICENSE_KEY="k")
    ours = a_source(folder() / "GeoLite2-City.mmdb")
    assert advice_for(ours) == "Run manage.py update_geo."
    # With an account DB-IP is not asked any more.
    assert advice_for(fetched).startswith("Replace ")
    use(settings, MAXMIND_LICENSE_KEY="")
    assert advice_for(ours).startswith("Replace ")


def test_advice_for__file_that_nothing_fetches() -> None:
    said = "Replace /srv/GeoLite2-City.mmdb with a newer file; manage.py update_geo does not"
    assert advice_for(a_source(Path("/srv/GeoLite2-City.mmdb"))).startswith(said)
    by_hand = folder() / "GeoLite2-City.mmdb"
    assert advice_for(a_source(by_hand)).startswith(f"Replace {by_hand} ")


def test_advice_for__sample_needs_an_update_and_a_service_needs_nothing() -> None:
    assert "update_geo" in advice_for(a_source(Path("/x.mmdb"), is_fallback=True))
    assert advice_for(a_source(built_at=None)) == ""


def test_advice_for__sample_that_the_settings_name(settings: Any) -> None:
    """What an update fetches would not be used, and the file of a package is not to be replaced."""
    use(settings, DATABASES=["/x.mmdb"])
    said = "Name a newer database in DATABASES in the place of /x.mmdb."
    assert advice_for(a_source(Path("/x.mmdb"), is_fallback=True)) == said


@pytest.mark.parametrize(
    ("name", "days", "said"),
    [
        ("GeoLite2-City", 24, ""),
        ("GeoLite2-City", 25, "The GeoLite EULA allows its use for 30 days, which are nearly"),
        ("GeoLite2-City", 30, "The GeoLite EULA does not allow its use for longer than 30 days."),
        ("GeoIP2-City", 30, "The MaxMind EULA asks to replace a database within 30 days, unless"),
        ("DBIP-City-Lite", 400, ""),
    ],
)
def test_licence_sentence__by_licence_and_age(name: str, days: int, said: str) -> None:
    source = a_source(name=name, built_at=NOW - timedelta(days=days))
    sentence = licence_sentence(source, NOW)
    assert sentence.startswith(said)
    assert bool(sentence) is bool(said)


def test_licence_sentence__geolite_of_2019_was_under_another_licence() -> None:
    built_at = datetime(2019, 12, 17, tzinfo=UTC)
    assert licence_sentence(a_source(name="GeoLite2-City", built_at=built_at), NOW) == ""
