import json
import sqlite3

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from geocache.cache import backends
from geocache.cache.guard import guarded, is_bug
from geocache.exceptions import CacheSilent, CacheUnavailable, JournalUnavailable, UndecodableRecord
from geocache.journal import segments
from geocache.location import load_locations
from tests.support.redis_server import a_redis_server

pytestmark = pytest.mark.cache_decides


@pytest.mark.parametrize(
    "error", [OSError("gone"), RedisConnectionError("gone"), sqlite3.OperationalError("gone")]
)
def test_guarded__is_one_error_for_what_libraries_raise(error):
    with pytest.raises(CacheUnavailable, match="gone") as caught, guarded():
        raise error
    assert caught.value.__cause__ is error


def test_guarded__gives_the_cache():
    with guarded() as backend:
        backend.set("a", "text")
    assert backends.current().get("a") == "text"


def test_guarded__lets_a_bug_of_ours_through():
    # ``None`` where the app takes text: what fails is the app's own code.
    with pytest.raises(TypeError), guarded():
        backends.TextSerializer().loads(None)
    with pytest.raises(TypeError), guarded():
        backends.TextSerializer().dumps([])
    with pytest.raises(TypeError), segments.open_journal():
        backends.TextSerializer().dumps([])


def test_guarded__hands_on_the_errors_of_the_app():
    with pytest.raises(UndecodableRecord), guarded():
        load_locations("nonsense")


def test_is_bug__is_no_error_that_a_library_raises_on_a_value_it_cannot_decode():
    with pytest.raises(ValueError, match="Expecting value") as caught:
        json.loads("nonsense")
    assert not is_bug(caught.value)


def test_guarded__fails_fast_after_a_slow_failure(monkeypatch):
    monkeypatch.setattr(backends.breaker, "slow_seconds", 0.0)
    with pytest.raises(CacheUnavailable), guarded():
        raise OSError("timed out")
    with pytest.raises(CacheSilent), guarded():
        pass
    with guarded(fails_fast=False) as backend:
        assert backend is backends.current()


@pytest.mark.slow
def test_guarded__of_a_redis_that_was_killed(tmp_path, settings):
    with a_redis_server(tmp_path, settings) as server:
        with guarded() as backend:
            backend.set("a", "text")
        server.kill()
        with pytest.raises(CacheUnavailable), guarded() as backend:
            backend.get("a")
        with (
            pytest.raises(JournalUnavailable, match="cannot be reached"),
            segments.open_journal() as backend,
        ):
            backend.get("a")
