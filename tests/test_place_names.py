import threading
import time
from dataclasses import replace as replaced
from types import SimpleNamespace

import pytest
from django.template import Context, Template
from django.utils.functional import SimpleLazyObject
from django.utils.translation import override
from msgspec.structs import replace

from geocache import field_sources
from geocache.location import Subdivision
from geocache.place_names import in_language, language_of, shown
from geocache.providers import factory, mmdb_files
from geocache.providers.mmdb import MmdbProvider
from geocache.providers.mmdb_files import Database
from geocache.providers.mmdb_verification import Verification
from geocache.providers.verified_files import VerifiedFiles
from geocache.templatetags.geo import city_name, region_name
from tests.factories import LONDON, a_location, a_row, an_mmdb, use_dummy_provider

NETWORK = "81.2.69.0/24"
MUNICH = {
    "city": {
        "names": {"en": "Munich", "de": "München", "pt-BR": "Munique", "zh-CN": "慕尼黑"},
    },
    "country": {"iso_code": "DE", "names": {"en": "Germany"}},
    "subdivisions": [
        {"iso_code": "BY", "names": {"en": "Bavaria", "de": "Bayern"}},
        {"names": {"en": "Upper Bavaria", "de": "Oberbayern"}},
    ],
}


@pytest.fixture(autouse=True)
def verified(monkeypatch):
    """Take all files as verified, which takes half a second for each."""
    monkeypatch.setattr(mmdb_files, "require_verified", lambda *_, **__: None)


@pytest.fixture
def open_databases(settings, tmp_path):
    """Open databases of these records, the first that knows a field gives it."""

    def opened(*records, provider=None, **changes):
        paths = [
            an_mmdb(
                tmp_path / f"{number}.mmdb",
                {NETWORK: record},
                database_type="GeoLite2-City" if number == 0 else f"DBIP-City-{number}",
            )
            for number, record in enumerate(records)
        ]
        given = {"DATABASES": paths, "PROVIDER": provider} if provider else {"DATABASES": paths}
        settings.GEOCACHE = {**settings.GEOCACHE, **given, **changes}
        # Opened, once the file is verified.
        factory.current().build()
        return factory.current()

    return opened


@pytest.fixture
def munich(open_databases):
    return open_databases(MUNICH).resolve(LONDON)


def names(location):
    return location.city, location.region


# --- in_language -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "city", "region"),
    [
        ("de", "München", "Bayern"),
        ("de-at", "München", "Bayern"),
        ("DE", "München", "Bayern"),
        ("en", "Munich", "Bavaria"),
        ("en-gb", "Munich", "Bavaria"),
        # Each name by itself: what has none in the language stays.
        ("pt-br", "Munique", "Bavaria"),
        ("pt", "Munique", "Bavaria"),
        ("pt-pt", "Munique", "Bavaria"),
        ("zh-hans", "慕尼黑", "Bavaria"),
        ("zh-cn", "慕尼黑", "Bavaria"),
        ("zh-hant", "Munich", "Bavaria"),
        ("sr-latn", "Munich", "Bavaria"),
        ("pl", "Munich", "Bavaria"),
        ("", "Munich", "Bavaria"),
        (None, "Munich", "Bavaria"),
        ("nonsense", "Munich", "Bavaria"),
    ],
)
def test_in_language__names_are_those_of_the_database(munich, language, city, region):
    assert names(munich) == ("Munich", "Bavaria")
    assert names(in_language(munich, language)) == (city, region)


def test_in_language__nothing_else_changes(munich):
    german = in_language(munich, "de")
    stored = {name: getattr(munich, name) for name in ("city", "region", "subdivisions")}
    assert replace(german, **stored) == munich


def test_in_language__subdivisions_have_names_too(munich):
    several = (Subdivision("DE-BY", "Bavaria"), Subdivision("", "Upper Bavaria"))
    german = in_language(replace(munich, subdivisions=several), "de")
    assert german.subdivisions == (Subdivision("DE-BY", "Bayern"), Subdivision("", "Oberbayern"))


def test_in_language__of_what_is_stored_in_another_one(open_databases):
    stored = open_databases(MUNICH, LOCALES=["de"]).resolve(LONDON)
    assert names(stored) == ("München", "Bayern")
    assert names(in_language(stored, "en")) == ("Munich", "Bavaria")
    assert in_language(stored, "de-at") is stored


def test_in_language__language_that_is_stored_is_not_searched_for(munich, monkeypatch):
    monkeypatch.setattr(Database, "search", None)
    for language in ("en", "en-gb", "", None):
        assert in_language(munich, language) is munich


def test_in_language__answer_without_names_is_not_searched_for(munich, monkeypatch):
    monkeypatch.setattr(Database, "search", None)
    empty = replace(munich, city="", region="", subdivisions=())
    assert in_language(empty, "de") is empty


@pytest.mark.parametrize(
    "changes",
    [
        {"city": "Berlin"},
        {"region": "Berlin"},
        {"country_code": "AT"},
        {"source": "MaxMind GeoLite city service"},
        {"source": "GeoIP2-City 2026-01-02"},
        {"source": ""},
        {"address": "8.8.8.8"},
        {"address": "2a02:6b8::1"},
    ],
)
def test_in_language__another_place_or_source_is_left_alone(munich, changes):
    other = replace(munich, **changes)
    assert in_language(other, "de") is other


def test_in_language__newer_build_translates_the_same_place_only(munich, open_databases):
    berlin = {"city": {"names": {"en": "Berlin", "de": "Berlin (Stadt)"}}}
    older = replace(munich, source="GeoLite2-City 2019-12-24")
    assert in_language(older, "de").city == "München"
    open_databases({**MUNICH, **berlin})
    assert in_language(older, "de") is older


def test_in_language__each_field_is_from_the_database_that_gave_it(open_databases):
    regions = {"subdivisions": [{"names": {"en": "Bavaria", "de": "Freistaat Bayern"}}]}
    city = {name: MUNICH[name] for name in ("city", "country")}
    merged = open_databases(city, regions | {"city": {"names": {"en": "Else"}}}).resolve(LONDON)
    packed = field_sources.pack([["city", "country_code"], ["region"]])
    for given_by in (packed, ""):
        german = in_language(replace(merged, given_by=given_by), "de")
        # Without it a record that names another city is not believed about the region.
        assert german.city == "München"
        assert german.region == ("Freistaat Bayern" if given_by else "Bavaria")


def test_in_language__reads_the_members_of_a_chain(open_databases):
    chain = {
        "BACKEND": "geocache.providers.chain.ChainProvider",
        "OPTIONS": {"providers": [{"BACKEND": "geocache.providers.mmdb.MmdbProvider"}]},
    }
    found = open_databases(MUNICH, provider=chain).resolve(LONDON)
    assert in_language(found, "de").city == "München"


def test_in_language__provider_without_files_leaves_all_alone(settings):
    use_dummy_provider(settings)
    assert in_language(a_location(), "de") == a_location()


@pytest.mark.parametrize("provider", [{}, {"BACKEND": "no.such"}, {"BACKEND": 7}])
def test_in_language__provider_that_cannot_be_made_leaves_all_alone(settings, provider):
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": provider}
    assert in_language(a_location(), "de") == a_location()


# --- bad input ---------------------------------------------------------------------------------

# What a file can hold.
WRONG = [True, -1, 2**31, 1.5, "x", "", "\0", b"x", [], ["x"], [[]], {}, {"x": {}}, {"de": 7}]


def test_in_language__damaged_field_stays_as_it_is_stored(munich, settings, tmp_path):
    values = [
        damaged
        for value in WRONG
        for damaged in (value, {"names": value}, [value], [{"names": value}])
    ]
    records = {f"20.0.{number}.0/24": MUNICH | {"city": one} for number, one in enumerate(values)}
    records |= {
        f"20.1.{number}.0/24": MUNICH | {"subdivisions": one} for number, one in enumerate(values)
    }
    path = an_mmdb(tmp_path / "damaged.mmdb", records)
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [path]}
    factory.current().build()
    for number in range(len(values)):
        for network, expected in ((0, ("Munich", "Bayern")), (1, ("München", "Bavaria"))):
            found = in_language(replace(munich, address=f"20.{network}.{number}.1"), "de")
            assert names(found) == expected


@pytest.mark.parametrize("country", [7, [], {}, {"iso_code": 7}, {"iso_code": "ZZ"}])
def test_in_language__record_without_a_country_is_of_any(munich, open_databases, country):
    open_databases({**MUNICH, "country": country})
    assert in_language(munich, "de").city == "München"


NAMES = {
    7: "Munich",
    ("x",): "Munich",
    "": "Munich",
    "\0": "Munich",
    "N/A": "Munich",
    " München\0": "München",
    "x" * 9_999: "x" * 200,
}


def test_in_language__name_is_a_text_that_can_be_shown(munich, settings, tmp_path):
    records = {
        f"20.0.{number}.0/24": {
            "city": {"names": {"en": "Munich", "de": list(name) if name == ("x",) else name}}
        }
        for number, name in enumerate(NAMES)
    }
    path = an_mmdb(tmp_path / "names.mmdb", records)
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [path]}
    factory.current().build()
    found = [
        in_language(replace(munich, address=f"20.0.{number}.1", region=""), "de").city
        for number in range(len(NAMES))
    ]
    assert found == list(NAMES.values())


# --- never a wait, never an error --------------------------------------------------------------


def test_in_language__opens_what_is_verified_already(munich, settings):
    settings.GEOCACHE = dict(settings.GEOCACHE)
    assert in_language(munich, "de").city == "München"


def test_in_language__waits_for_no_verification(munich, settings, monkeypatch):
    monkeypatch.undo()
    held = threading.Event()
    monkeypatch.setattr(Verification, "find_problem", lambda _: held.wait(60) and "")
    monkeypatch.setattr(VerifiedFiles, "has", lambda *_: False)
    settings.GEOCACHE = dict(settings.GEOCACHE)
    began = time.monotonic()
    assert in_language(munich, "de") is munich
    assert time.monotonic() - began < 5
    held.set()


def test_in_language__waits_for_no_thread_that_opens_files(munich, settings, monkeypatch):
    is_opening, may_go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(MmdbProvider, "_reopen", lambda _: is_opening.set() or may_go_on.wait(60))
    settings.GEOCACHE = dict(settings.GEOCACHE)
    thread = threading.Thread(target=factory.current().build)
    thread.start()
    assert is_opening.wait(60)
    assert in_language(munich, "de") is munich
    assert thread.is_alive()
    may_go_on.set()
    thread.join()


def test_in_language__file_that_is_gone_is_tried_once_in_a_while(munich, settings, monkeypatch):
    tried = []
    monkeypatch.setattr(MmdbProvider, "_reopen", lambda _: tried.append(1))
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": ["/nowhere.mmdb"]}
    for _ in range(50):
        assert in_language(munich, "de") is munich
    assert len(tried) == 1


def test_in_language__gone_file_is_no_error(munich, settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": ["/nowhere.mmdb"]}
    assert in_language(munich, "de") is munich


def test_in_language__damaged_file_is_no_error(munich, monkeypatch):
    def broken(*_):
        raise ValueError("damaged")

    (leaf,) = factory.current().leaves()
    (database,) = leaf.opened()
    monkeypatch.setattr(leaf, "_databases", (replace_reader(database, broken),))
    assert in_language(munich, "de") is munich


def replace_reader(database, search):
    class Reader:
        get_with_prefix_len = staticmethod(search)

    return replaced(database, reader=Reader())


# --- where the language comes from -------------------------------------------------------------


def test_shown__is_in_the_readers_language(munich):
    for language, city in (("de", "München"), ("en", "Munich"), (None, "Munich")):
        with override(language):
            assert [one.city for one in shown([munich, munich])] == [city, city]
    assert shown([]) == []


@pytest.mark.parametrize(
    ("text", "language"), [("de", "de"), ("DE-at", "de-at"), ("pt-BR", "pt-br"), ("tlh", "tlh")]
)
def test_language_of__is_its_code(text, language):
    assert language_of(text) == language


@pytest.mark.parametrize("text", ["", "german", "de_DE", "*", "de,en", "\0", "d" * 999, "de\n"])
def test_language_of__nonsense_is_refused(text):
    with pytest.raises(ValueError, match="as de or pt-BR"):
        language_of(text)


SOURCED = "{% load geo %}{{ place|city_name }}, {{ place|region_name }}"
TAGGED = "{% load geo %}{% geo ip as found %}{{ found.city }}, {{ found.region }}"


@pytest.mark.django_db
@pytest.mark.parametrize("template", [SOURCED, TAGGED, SOURCED.replace("place", "ip")])
@pytest.mark.parametrize(
    ("language", "expected"), [("de", "München, Bayern"), ("en", "Munich, Bavaria")]
)
def test_template__names_are_in_the_readers_language(munich, template, language, expected):
    for place in (munich, SimpleLazyObject(lambda: munich)):
        with override(language):
            text = Template(template).render(Context({"place": place, "ip": LONDON}))
        assert text == expected


@pytest.mark.django_db
def test_template__row_of_the_table_has_names_too(munich):
    row = a_row(LONDON, city="Munich", region="Bavaria", country_code="DE", source=munich.source)
    with override("de"):
        assert (city_name(row), region_name(row)) == ("München", "Bayern")


@pytest.mark.parametrize("value", [None, "", 7, "nonsense", "10.0.0.1", {}, [LONDON], "\0"])
def test_template__nothing_known_is_no_text(value):
    with override("de"):
        assert city_name(value) == region_name(value) == ""


def test_template__other_objects_are_taken_as_they_are():
    assert city_name(SimpleNamespace(city="Somewhere")) == "Somewhere"
    assert region_name(SimpleNamespace(region=None)) == ""
