import ipaddress
import random
import subprocess
import sys
from importlib.resources import files

import maxminddb
import pytest
from django.conf.locale import LANG_INFO
from django.utils.translation import override
from django_countries.data import COUNTRIES

from geocache import continents, country_groups
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
    assert set(country_groups.CONTINENTS) == {*COUNTRIES, "XK"}
    codes = " ".join(country_groups.COUNTRIES.values()).split()
    assert len(codes) == len(set(codes)) == 250
    assert set(country_groups.COUNTRIES) == set(continents.NAMES)


def test_continent_of__agrees_with_the_tz_database():
    lines = (files("tzdata") / "zoneinfo/zone.tab").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    areas = {}
    for code, _, zone, *_ in rows:
        areas.setdefault(code, set()).add(zone.partition("/")[0])
    found = {
        code: (country_groups.continent_of(code), some)
        for code, some in areas.items()
        if not any(
            country_groups.continent_of(code) in AREAS.get(one, set(continents.NAMES))
            for one in some
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
    assert {pair for pair in pairs if country_groups.continent_of(pair[0]) != pair[1]} == set()


@pytest.mark.parametrize("code", ["", "ZZ", "EU", "gbr", "\0"])
def test_continent_of__unknown_code_is_empty(code):
    assert country_groups.continent_of(code) == ""


def test_continent_of__case_makes_no_difference():
    assert country_groups.continent_of("gb") == "EU"


def test_name__is_text_in_the_readers_language():
    with override("en"):
        assert continents.name("SA") == "South America"
    assert type(continents.name("AN")) is str
    assert continents.name("") == continents.name("XX") == ""


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("de", "Südamerika"),
        ("de-at", "Südamerika"),
        ("fr", "Amérique du Sud"),
        ("pl", "Ameryka Południowa"),
        ("pt-br", "América do Sul"),
        ("zh-hans", "南美洲"),
        ("zh-cn", "南美洲"),
        ("zh-tw", "南美洲"),
        ("zh-hk", "南美洲"),
        ("sr-latn", "Južna Amerika"),
        ("sr", "Јужна Америка"),
        ("no", "Sør-Amerika"),
        ("xx", "South America"),
        ("sr-cyrl-me", "Јужна Америка"),
        (None, "South America"),
    ],
)
def test_name__every_language_has_one(language, name):
    with override(language):
        assert continents.name("SA") == name


def test_names_in__every_language_of_django_has_all_seven():
    # CLDR does not have these.
    languages = set(LANG_INFO) - {"ht", "io", "os", "udm"}
    found = {one: continents.names_in(one) for one in languages}
    assert {len(set(names.values())) for names in found.values()} == {7}
    assert {frozenset(names) for names in found.values()} == {frozenset(continents.NAMES)}
    assert len(found) > 100


@pytest.mark.parametrize("language", ["", "-", "xx", "de_DE", "\0", "d" * 999, "-" * 999])
def test_names_in__unknown_language_has_none(language):
    assert continents.names_in(language) == {}


def test_name__agrees_with_a_database():
    with maxminddb.open_database(mmdb.fallback_path()) as reader:
        records = [reader.get(one) for one in ("41.0.0.1", "1.0.16.1", "2.0.0.1")]
    # Not of North America, for which both have several names.
    assert {one["continent"]["code"] for one in records} == {"AF", "AS", "EU"}
    for record in records:
        names = record["continent"]["names"]
        for language in ("de", "es", "fr", "ja", "ru"):
            with override(language):
                assert continents.name(record["continent"]["code"]) == names[language]


def test_name__a_projects_translation_counts_first(monkeypatch):
    monkeypatch.setitem(continents.NAMES, "OC", "Australien und Ozeanien")
    with override("fr"):
        assert continents.name("OC") == "Australien und Ozeanien"


HOST = """
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["geocache"],
    LANGUAGES=[(one, one) for one in ("pt-br", "zh-hans", "sr-latn", "en")],
)
django.setup()
from django.conf.locale import LANG_INFO
from django.utils.translation import override
from geocache.location import EPOCH, Location
place = Location(address="", resolved_at=EPOCH, country_code="DE")
for language in ("pt-br", "zh-hans", "sr-latn", "en"):
    with override(language):
        print(place.country_name, place.continent_name)
"""


def test_name__of_another_project_needs_no_set_up():
    ran = subprocess.run(
        [sys.executable, "-c", HOST], capture_output=True, encoding="utf-8", check=True
    )
    assert ran.stdout.splitlines() == [
        "Alemanha Europa",
        "德国 欧洲",
        "Nemačka Evropa",
        "Germany Europe",
    ]
