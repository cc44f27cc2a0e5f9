import pytest
from django.core.exceptions import ImproperlyConfigured

from geocache.providers.factory import make

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
