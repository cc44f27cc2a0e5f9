from math import inf, nan
from typing import ClassVar

import pytest

from geocache import lookup
from geocache.journal import flush
from geocache.location import Details, Subdivision, dump_locations, load_locations
from geocache.models import GeoCache, RejectedEntry
from geocache.providers.base import Provider, Source
from tests.factories import LONDON, a_location

ENGLAND = Subdivision("GB-ENG", "England")
KENT = Subdivision("GB-KEN", "Kent")


class OwnProvider(Provider):
    """One of a project, which may give what it likes."""

    given: ClassVar[dict[str, object]] = {}

    def build(self):
        return "1"

    def sources(self):
        return [Source(name="Own")]

    def resolve(self, address):
        return a_location(address, **self.given)


def use_own_provider(settings, monkeypatch, given):
    monkeypatch.setattr(OwnProvider, "given", given)
    provider = {"BACKEND": f"{__name__}.OwnProvider", "OPTIONS": {}}
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": provider}


GIVEN = [
    ({"traits": {"vpn", "cloud"}}, {"traits": ("cloud", "vpn")}),
    ({"traits": ["vpn", "cloud", "vpn"]}, {"traits": ("cloud", "vpn")}),
    ({"traits": "vpn"}, {"traits": ("vpn",)}),
    ({"traits": None}, {"traits": ()}),
    (
        {"traits": ["a,b", "", "x" * 41, "\ud800", "a\0%", 1, None, b"x", "vpn"]},
        {"traits": ("vpn",)},
    ),
    ({"traits": (one for one in ["vpn"])}, {"traits": ("vpn",)}),
    ({"subdivisions": None}, {"subdivisions": ()}),
    ({"subdivisions": [ENGLAND, KENT]}, {"subdivisions": (ENGLAND, KENT)}),
    (
        {"subdivisions": [{"code": "GB-ENG", "name": "England"}, "Kent", {}, 1, None, []]},
        {"subdivisions": (ENGLAND, Subdivision(name="Kent"))},
    ),
    (
        {"subdivisions": [Subdivision(None, None), Subdivision("x" * 99, "Kent\0\ud800")]},
        {"subdivisions": (Subdivision(name="Kent"),)},
    ),
    ({"details": None}, {"details": {}}),
    ({"details": "x"}, {"details": {}}),
    ({"details": [("a", 1)]}, {"details": {}}),
    ({"details": {"a": {"b": 1}, "b": [1], "c": {1}, "d": nan, "e": inf}}, {"details": {}}),
    ({"details": {"a": 2**70, "b": 1e300, "c": -(2**63), "d": object()}}, {"details": {}}),
    ({"details": {1: 2, None: 3, "a": "x\0\ud800", "b": 0}}, {"details": {"a": "x", "b": 0}}),
    ({"details": Details.of({"a": nan, "b": False})}, {"details": {"b": False}}),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("given", "kept"), GIVEN)
def test_own_provider__an_answer_that_holds_odd_values_is_kept(settings, monkeypatch, given, kept):
    use_own_provider(settings, monkeypatch, given)
    answer = lookup.lookup(LONDON)
    for name, value in kept.items():
        assert getattr(answer, name) == value
    assert load_locations(dump_locations([answer])) == [answer]
    assert lookup.lookup(LONDON) == answer
    flush.flush_dirty()
    assert not RejectedEntry.objects.exists()
    assert GeoCache.objects.get().to_location() == answer
