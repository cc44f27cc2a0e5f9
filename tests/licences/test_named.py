from datetime import date

import pytest

from geocache.licences.kinds import DBIP_LITE, GEOIP, GEOLITE, UNKNOWN
from geocache.licences.named import is_unknown, licence_of, name_of, problems

NEW = date(2026, 1, 2)


def use(settings, sources):
    settings.GEOCACHE = {**settings.GEOCACHE, "SOURCES": sources}


def test_name_of__by_file_then_by_type_then_as_it_is_published(settings):
    use(settings, {"city-ipv4.mmdb": "DB-IP City Lite", "asn ipv4": {"name": "Our operators"}})
    assert name_of("city-ipv4.mmdb", "city ipv4") == "DB-IP City Lite"
    assert name_of("any.mmdb", "asn ipv4") == "Our operators"
    assert name_of("dbip-country.mmdb", "country ipvAll") == "DB-IP Country Lite"
    assert name_of("any.mmdb", "city ipv4") == "city ipv4"
    assert name_of("any.mmdb", "GeoLite2-City") == "GeoLite2-City"


def test_licence_of__name_that_is_set(settings):
    use(settings, {"city ipv4": "DB-IP City Lite"})
    assert licence_of("DB-IP City Lite", NEW) == DBIP_LITE
    # Of rows that an earlier release wrote, also when the file is gone.
    assert licence_of("city ipv4", NEW) == DBIP_LITE
    assert licence_of("country ipv4", NEW) == UNKNOWN


def test_licence_of__what_is_said_in_the_setting_wins(settings):
    use(
        settings,
        {
            "own.mmdb": {"name": "Ours", "credit": "By us, https://us.example", "licence": "Ours"},
            "GeoLite2-City": {"name": "GeoLite2-City", "credit": "", "max_age_days": None},
            "GeoIP2-City": {"name": "GeoIP2-City", "max_age_days": 10},
        },
    )
    own = licence_of("Ours", NEW)
    assert (own.name, own.credit, own.removal_days) == ("Ours", "By us, https://us.example", None)
    bought = licence_of("GeoLite2-City", NEW)
    assert (bought.credit, bought.removal_days) == ("", None)
    assert licence_of("GeoIP2-City", NEW).removal_days == 10
    assert licence_of("GeoIP2-ISP", NEW) == GEOIP
    assert licence_of("GeoLite2-ASN", NEW) == GEOLITE


def test_is_unknown__flat_file_of_which_nothing_is_said(settings):
    assert is_unknown("city ipv4")
    assert not is_unknown("Our own networks")
    use(settings, {"city ipv4": {"name": "Ours", "credit": "By us"}})
    assert not is_unknown("Ours")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("DB-IP City Lite", ""),
        ({"name": "Ours", "credit": "x", "licence": "x", "url": "x", "max_age_days": 30}, ""),
        (3, "it is 3; it has to be a name, or a dict"),
        ({"name": "Ours", "by": "x"}, "there is no 'by'; choose of name, credit,"),
        ({"name": "Ours", "credit": 1}, "credit is 1; it has to be a text"),
        ({"credit": "x"}, "it has no name that can be shown"),
        (" ", "it has no name that can be shown"),
        ("One, two", "its name has ', ' in it"),
        ("x" * 61, "its name is longer than 60 letters"),
        ({"name": "Ours", "max_age_days": "30"}, "max_age_days is '30'; it has to be a whole"),
        ({"name": "Ours", "max_age_days": True}, "max_age_days is True; it has to be a whole"),
        # A day before the first of the calendar cannot be reckoned with.
        ({"name": "Ours", "max_age_days": 10**10}, "max_age_days is 10000000000; it has to be a"),
        # Its day follows the comma and a space.
        ("Ours,", "its name has ', ' in it"),
        # A credit is one line, in files and in a terminal.
        ({"name": "Ours", "credit": "a\nb"}, "credit is 'a\\nb'; it has to be one line"),
    ],
)
def test_problems__of_an_entry(settings, value, problem):
    use(settings, {"city ipv4": value})
    found = problems()
    assert len(found) == bool(problem)
    assert all(one.startswith(f"SOURCES of 'city ipv4': {problem}") for one in found)
    # What cannot be used is left out, and not an error of a look-up.
    assert (name_of("any.mmdb", "city ipv4") == "city ipv4") is bool(problem)


def test_problems__key_that_is_not_a_name(settings):
    use(settings, {1: "Ours"})
    assert problems() == ["SOURCES: 1 is not the name of a file, type or service"]
    assert name_of("any.mmdb", "city ipv4") == "city ipv4"
