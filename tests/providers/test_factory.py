import pytest
from django.core.exceptions import ImproperlyConfigured

from geocache.providers import factory
from geocache.providers.coercion import local_name
from geocache.providers.factory import make
from tests.factories import LONDON, an_mmdb

DUMMY = "geocache.providers.dummy.DummyProvider"


def test_make__hands_the_options_to_the_class_and_keeps_the_limit():
    options = {"version": "7", "queries_per_day": 5}
    provider = make({"BACKEND": DUMMY, "OPTIONS": options})
    assert (provider.version, provider.queries_per_day) == ("7", 5)
    assert options == {"version": "7", "queries_per_day": 5}
    assert make({"BACKEND": DUMMY}).queries_per_day is None


@pytest.mark.parametrize("limit", [-1, "5", 5.0, True])
def test_make__a_limit_is_a_whole_number(limit):
    with pytest.raises(ImproperlyConfigured, match="queries_per_day"):
        make({"BACKEND": DUMMY, "OPTIONS": {"queries_per_day": limit}})


def test_make__the_setting_says_how_many_queries_there_are_at_once(settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "ASYNC_QUERIES": 3}
    chain = {"BACKEND": "geocache.providers.chain.ChainProvider"}
    made = make({**chain, "OPTIONS": {"providers": [{"BACKEND": DUMMY}]}})
    assert [one.queries_at_once for one in made.tree()] == [3, 3]


# --- the language of names ---------------------------------------------------------------------

MUNICH = {
    "city": {"names": {"en": "Munich", "de": "München", "pt-BR": "Munique"}},
    "subdivisions": [{"names": {"en": "Bavaria", "de": "Bayern"}}],
}


@pytest.fixture
def munich(settings, tmp_path):
    path = an_mmdb(tmp_path / "city.mmdb", {"81.2.69.0/24": MUNICH})

    def resolved(languages):
        settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [path], "LOCALES": languages}
        return factory.current().resolve(LONDON)

    return resolved


@pytest.mark.parametrize(
    ("languages", "city", "region"),
    [
        (["en"], "Munich", "Bavaria"),
        (["de", "en"], "München", "Bayern"),
        (("de-at",), "München", "Bayern"),
        # The first that exists, of each name by itself; at last English.
        (["pt-br", "de"], "Munique", "Bayern"),
        (["ja"], "Munich", "Bavaria"),
        ([], "Munich", "Bavaria"),
        # Each is an error of ``check``.
        (["german", None, 7], "Munich", "Bavaria"),
        ("de", "Munich", "Bavaria"),
        (None, "Munich", "Bavaria"),
    ],
)
def test_locales__first_that_exists_is_stored(munich, languages, city, region):
    found = munich(languages)
    assert (found.city, found.region) == (city, region)


def test_locales__a_change_makes_older_entries_stale(munich):
    builds = []
    for languages in (["en"], ["de"], ["de", "en"], ["de", "fr"]):
        munich(languages)
        builds.append(factory.current().build())
    english, german, same, other = builds
    assert german == same
    assert len({english, german, other}) == 3
    # Entries of releases that had no such setting are good.
    assert english == "GeoLite2-City-1700000000"


def test_locales__end_with_their_setting(munich, settings):
    munich(["de"])
    settings.GEOCACHE = {**settings.GEOCACHE, "LOCALES": ["en"]}
    assert local_name(MUNICH["city"]) == "Munich"


@pytest.mark.parametrize(
    "names", [None, 7, [], {}, {"de": 7}, {"de": ""}, {"de": "\0"}, {"de": ["x"]}, {7: "x"}]
)
def test_local_name__without_a_text_is_the_next(munich, names):
    munich(["de", "fr"])
    assert local_name({"names": names}) == ""
    if isinstance(names, dict):
        assert local_name({"names": {**names, "fr": "Munich\0 " + "x" * 999}})[:7] == "Munich "
