import random
import time

import pytest
from redis.exceptions import ResponseError

from geocache.cache import backends, redis_commands

pytestmark = pytest.mark.cache_decides
TEXTS = {f"geocache-test-{number}": f"Zürich {number}" for number in range(3)}


@pytest.fixture
def cache(settings, redis_url):
    """Django's Redis cache on a real server, with a prefix of this test's own."""
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": redis_url,
            "KEY_PREFIX": f"redis-commands-{random.getrandbits(32):x}",
            "OPTIONS": {"serializer": "geocache.cache.backends.TextSerializer"},
        },
    }
    backend = backends.current()
    yield backend
    backend.delete_many(TEXTS)


def test_client__is_kept_and_writes_to_the_first_server(cache):
    client = redis_commands.client(cache)
    assert client is redis_commands.client(cache, write=True)
    client.set(cache.make_key("geocache-test-0"), "text")
    assert cache.get("geocache-test-0") == "text"


def test_client__of_several_servers_reads_are_left_to_django(settings, redis_url):
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": [redis_url.replace("localhost", "127.0.0.1"), "redis://127.0.0.1:1/0"],
        },
    }
    backend = backends.current()

    def port(*, write):
        client = redis_commands.client(backend, write=write)
        return client.connection_pool.connection_kwargs["port"]

    assert port(write=True) != 1
    assert port(write=False) == 1


def test_get__is_what_the_cache_gives(cache):
    cache.set("geocache-test-0", "Zürich")
    cache.set("geocache-test-1", 12)
    assert redis_commands.get(cache, "geocache-test-0") == "Zürich"
    assert redis_commands.get(cache, "geocache-test-1") == 12
    assert redis_commands.get(cache, "geocache-test-2") is None


def test_get_many__is_what_the_cache_gives(cache):
    cache.set_many({"geocache-test-0": "", "geocache-test-1": 12})
    assert redis_commands.get_many(cache, TEXTS) == {"geocache-test-0": "", "geocache-test-1": 12}
    assert redis_commands.get_many(cache, []) == {}


def test_add_many__adds_where_nothing_is(cache):
    cache.set("geocache-test-1", "held", timeout=None)
    assert redis_commands.add_many(cache, list(TEXTS), "new", 60) == {
        "geocache-test-0",
        "geocache-test-2",
    }
    assert [cache.get(key) for key in TEXTS] == ["new", "held", "new"]
    client = redis_commands.client(cache)
    assert 50 < client.ttl(cache.make_key("geocache-test-0")) <= 60
    assert redis_commands.add_many(cache, [], "new", 60) == set()


@pytest.mark.parametrize("command_keys", [2, 1000])
def test_delete_many__deletes_what_there_is(monkeypatch, cache, command_keys):
    monkeypatch.setattr(redis_commands, "COMMAND_KEYS", command_keys)
    cache.set_many({**TEXTS, "geocache-test-kept": "kept"})
    redis_commands.delete_many(cache, [*TEXTS, "geocache-test-never"])
    assert cache.get_many([*TEXTS, "geocache-test-kept"]) == {"geocache-test-kept": "kept"}
    redis_commands.delete_many(cache, ["geocache-test-kept"])
    redis_commands.delete_many(cache, [])
    assert cache.get("geocache-test-kept") is None


@pytest.mark.parametrize("command_keys", [2, 1000])
def test_set_many__gives_each_its_time_to_live(monkeypatch, cache, command_keys):
    monkeypatch.setattr(redis_commands, "COMMAND_KEYS", command_keys)
    assert redis_commands.set_many(cache, TEXTS, 60)
    assert cache.get_many(TEXTS) == TEXTS
    client = redis_commands.client(cache)
    assert all(50 < client.ttl(cache.make_key(key)) <= 60 for key in TEXTS)


@pytest.mark.parametrize("seconds", [0, 0.5, None])
def test_set_many__leaves_it_to_the_cache_where_nothing_expires_later(cache, seconds):
    assert not redis_commands.set_many(cache, TEXTS, seconds)
    backends.set_many(cache, TEXTS, seconds)
    assert cache.get_many(TEXTS) == (TEXTS if seconds is None else {})


def test_set_many__where_no_scripts_run_is_what_the_cache_does(monkeypatch, cache):
    def refuse(*_):
        raise ResponseError("NOPERM")

    monkeypatch.setattr(redis_commands.Script, "run", refuse)
    assert not redis_commands.set_many(cache, TEXTS, 60)
    backends.set_many(cache, TEXTS, 60)
    assert cache.get_many(TEXTS) == TEXTS


def test_run__sends_the_text_to_a_server_that_does_not_know_it(cache):
    script = redis_commands.Script(f"return ARGV[1] -- {time.time_ns()}")
    assert [script.run(cache, [], ["x"]) for _ in range(2)] == [b"x", b"x"]
