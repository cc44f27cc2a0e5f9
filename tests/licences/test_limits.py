from datetime import UTC, date, datetime, timedelta

import pytest

from geocache.licences.kinds import DBIP_LITE, GEOIP, GEOLITE
from geocache.licences.limits import Outdated, has_to_go, level_of_age, outdated
from geocache.licences.texts import Part, parts_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD = "GeoLite2-City 2026-01-01"
PRESENT = "GeoLite2-City 2026-01-10"


@pytest.mark.parametrize(
    ("licence", "days", "level"),
    [
        (GEOLITE, 24.9, None),
        (GEOLITE, 25, "warning"),
        (GEOLITE, 29.9, "warning"),
        (GEOLITE, 30, "critical"),
        (GEOIP, 29, None),
        (GEOIP, 400, "warning"),
        (DBIP_LITE, 400, None),
    ],
)
def test_level_of_age__by_licence(licence, days, level):
    assert level_of_age(licence, NOW - timedelta(days=days), NOW) == level
    assert level_of_age(licence, None, NOW) is None


def test_parts_of__names_and_days():
    text = "GeoLite2-City 2026-01-02, city ipv4 2026-01-01, ip-api.com, #1a2b3c4d, Odd 2026-13-01"
    assert list(parts_of(text)) == [
        Part("GeoLite2-City", date(2026, 1, 2)),
        Part("city ipv4", date(2026, 1, 1)),
        Part("ip-api.com", None),
        Part("#1a2b3c4d", None),
        Part("Odd 2026-13-01", None),
    ]
    assert list(parts_of("")) == []


@pytest.mark.parametrize(
    ("source", "is_outdated"),
    [
        (OLD, True),
        (PRESENT, False),  # 50 days old, and nothing newer is here
        ("GeoLite2-ASN 2026-01-30", True),
        ("GeoLite2-ASN 2026-01-31", False),  # 29 days
        # After a step back to an older file: that must not take the place of what is newer.
        ("GeoLite2-City 2026-01-20", False),
        ("GeoLite2-City 2019-12-17", False),  # CC BY-SA
        ("GeoIP2-City 2026-01-01", False),
        ("DBIP-City-Lite 2020-01-01", False),
        ("DBIP-ASN-Lite 2026-01-01, GeoLite2-City 2026-01-01", True),
        (f"{PRESENT}, GeoLite2-ASN 2026-01-01", True),
        ("ip-api.com", False),
        ("#1a2b3c4d", False),
        ("", False),
    ],
)
def test_outdated__source_of_an_answer(source, is_outdated):
    assert outdated(source, {PRESENT}, NOW) == (Outdated(source) if is_outdated else None)


def test_outdated__service_without_a_build_counts_from_the_answer():
    text = "MaxMind GeoLite city service"
    assert outdated(text, {text}, NOW) == Outdated(text, NOW - timedelta(days=30))


def test_outdated__age_that_is_set(settings):
    settings.GEOCACHE = {
        **settings.GEOCACHE,
        "SOURCES": {"GeoLite2-City": {"name": "GeoLite2-City", "max_age_days": None}},
    }
    assert outdated(OLD, {PRESENT}, NOW) is None


def test_has_to_go__after_thirty_days_of_utc():
    assert has_to_go("GeoLite2-City", date(2026, 1, 30), NOW)
    assert not has_to_go("GeoLite2-City", date(2026, 1, 31), NOW)
