import ipaddress
import random
from importlib.resources import files

import maxminddb
import pytest
from django.utils.translation import override
from django_countries.data import COUNTRIES

from geocache import continents
from geocache.providers import mmdb

# The area that the tz database files a country's zones under, and the continents that it may be.
AREAS = {
    "Africa": {"AF"},
    "America": {"NA", "SA"},
    "Antarctica": {"AN"},
    "Arctic": {"EU"},
    "Asia": {"AS"},
    "Australia": {"OC"},
    "Europe": {"EU", "AS"},
}
# Both are in Asia there, and not in GeoNames and MaxMind's databases.
ELSEWHERE = {"CY", "TL"}


def test_continent_of__every_country_has_one():
    assert set(continents.CONTINENTS) == {*COUNTRIES, "XK"}
    codes = " ".join(continents.COUNTRIES.values()).split()
    assert len(codes) == len(set(codes)) == 250
    assert set(continents.COUNTRIES) == set(continents.NAMES)


def test_continent_of__agrees_with_the_tz_database():
    lines = (files("tzdata") / "zoneinfo/zone.tab").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    areas = {}
    for code, _, zone, *_ in rows:
        areas.setdefault(code, set()).add(zone.partition("/")[0])
    found = {
        code: (continents.continent_of(code), some)
        for code, some in areas.items()
        if not any(
            continents.continent_of(code) in AREAS.get(one, set(continents.NAMES)) for one in some
        )
    }
    assert set(found) == ELSEWHERE


def test_continent_of__agrees_with_a_database():
    numbers = random.Random(15)
    with maxminddb.open_database(mmdb.fallback_path()) as reader:
        records = [reader.get(ipaddress.IPv4Address(numbers.getrandbits(32))) for _ in range(3000)]
    pairs = {
        (one["country"]["iso_code"], one["continent"]["code"])
        for one in records
        if one and "country" in one
    }
    assert len(pairs) > 60
    assert {pair for pair in pairs if continents.continent_of(pair[0]) != pair[1]} == set()


@pytest.mark.parametrize("code", ["", "ZZ", "EU", "gbr", "\0"])
def test_continent_of__unknown_code_is_empty(code):
    assert continents.continent_of(code) == ""


def test_continent_of__case_makes_no_difference():
    assert continents.continent_of("gb") == "EU"


def test_name__is_text_in_the_readers_language():
    with override("en"):
        assert continents.name("SA") == "South America"
    assert type(continents.name("AN")) is str
    assert continents.name("") == continents.name("XX") == ""
