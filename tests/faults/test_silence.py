"""A cache that does not answer at all: it costs one look-up its time-out, not every look-up."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geocache import lookup
from geocache.cache import backends
from geocache.journal.flush import flush_dirty
from geocache.models import GeoCache
from tests.factories import use_dummy_provider
from tests.support.redis_server import OPTIONS, a_redis_server
from tests.support.tcp_proxy import a_black_hole

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def dummy(settings: Any) -> None:
    use_dummy_provider(settings)


@pytest.fixture
def vanished(settings: Any) -> Iterator[None]:
    """Let the cache be a Redis that has vanished from the network."""
    with a_black_hole() as port:
        redis = {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{port}/0",
            "OPTIONS": OPTIONS,
        }
        settings.CACHES = {**settings.CACHES, "geocache": redis}
        yield


def addresses(count: int, *, first: int = 0) -> list[str]:
    return [f"20.0.0.{n}" for n in range(first, first + count)]


def stored() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


@pytest.mark.usefixtures("vanished")
def test_vanished__only_the_first_lookup_waits_and_all_are_written_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backends.breaker, "open_seconds", 60.0)
    started = time.monotonic()
    lookup.lookup("30.0.0.1")
    first_seconds = time.monotonic() - started
    for address in addresses(20):
        lookup.lookup(address)
    others_seconds = time.monotonic() - started - first_seconds

    # One time-out of a second; without a breaker each of the others would wait for three.
    assert first_seconds > 0.9
    assert others_seconds < 10
    assert stored() == {*addresses(20), "30.0.0.1"}


def test_frozen__is_asked_again_after_a_rest(tmp_path: Path, settings: Any) -> None:
    with a_redis_server(tmp_path, settings) as server:
        lookup.lookup_many(addresses(10))
        server.stall()
        lookup.lookup_many(addresses(10, first=10))
        server.go_on()
        lookup.lookup_many(addresses(10, first=20))
        backends.breaker.reset()
        lookup.lookup_many(addresses(10, first=30))

        # Written through while it was silent, and for a while behind that; then journaled again.
        assert stored() == set(addresses(20, first=10))
        flush_dirty()
        assert stored() == set(addresses(40))
