import pytest

from geocache.exceptions import ProviderError
from geocache.location import NOT_FOUND
from geocache.providers.dummy import DummyProvider
from tests.factories import LONDON


def test_dummy__answers_from_its_dict_and_counts_what_it_is_asked():
    dummy = DummyProvider({LONDON: {"city": "London", "asn": 5}})
    location = dummy.resolve(LONDON)
    assert (location.address, location.city, location.asn) == (LONDON, "London", 5)
    assert location.source == "Dummy 1"
    assert dummy.resolve("9.9.9.9").reason == NOT_FOUND
    assert dummy.asked == [LONDON, "9.9.9.9"]


def test_dummy__fails_on_demand():
    dummy = DummyProvider(is_failing=True)
    with pytest.raises(ProviderError):
        dummy.resolve(LONDON)
    with pytest.raises(ProviderError):
        dummy.resolve_many([LONDON])
    assert dummy.asked == []


def test_dummy__its_build_changes_with_its_version():
    assert DummyProvider(version="1").build() != DummyProvider(version="2").build()
    assert [source.name for source in DummyProvider(version="2").sources()] == ["Dummy 2"]
