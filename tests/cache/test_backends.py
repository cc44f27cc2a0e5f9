import os
import pickle
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from diskcache_community import ReadOnlyError, Timeout
from django.core.cache import caches as django_caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.filebased import FileBasedCache

from geocache.cache import backends
from geocache.cache.backends import TextSerializer, can_hold_journal
from geocache.cache.embedded import LOCK_SECONDS, TRANSACTION_KEYS, EmbeddedCache, Store
from tests.conftest import require

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def embedded(tmp_path):
    backend = EmbeddedCache(str(tmp_path / "cache"), {"TIMEOUT": 300})
    yield backend
    backend._cache.close()


@pytest.fixture
def redis_cache(settings, redis_url):
    """The cache as the project sets it up, on a real Redis."""
    pytest.importorskip("redis")
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": redis_url,
            "KEY_PREFIX": settings.CACHES["geocache"]["KEY_PREFIX"],
            "OPTIONS": {"serializer": "geocache.cache.backends.TextSerializer"},
        },
    }
    return backends.current()


# Longer than what stays in a row.
LONG = "x" * (2**22 + 1)


class Malicious:
    """Unpickled, it would make a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


# --- which cache -------------------------------------------------------------------------------


def test_current__is_the_alias_that_the_project_names(settings):
    settings.CACHES = {
        **settings.CACHES,
        "other": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }
    settings.GEOCACHE = {**settings.GEOCACHE, "CACHE_ALIAS": "other"}
    assert backends.current() is django_caches["other"]


def test_current__without_the_alias_is_an_embedded_one_in_var_dir(settings, tmp_path):
    settings.CACHES = {"default": settings.CACHES["default"]}
    settings.GEOCACHE = {"VAR_DIR": tmp_path}
    backend = backends.current()
    assert isinstance(backend, EmbeddedCache)
    assert backend is backends.current()
    backend.set("kept", "yes", timeout=None)
    assert (tmp_path / "cache").is_dir()
    with ThreadPoolExecutor(1) as other:
        assert other.submit(backends.current().get, "kept").result() == "yes"


def test_current__another_var_dir_is_another_embedded_cache(settings, tmp_path):
    settings.CACHES = {"default": settings.CACHES["default"]}
    settings.GEOCACHE = {"VAR_DIR": tmp_path / "one"}
    backends.current().set("kept", "yes", timeout=None)
    settings.GEOCACHE = {"VAR_DIR": tmp_path / "two"}
    assert backends.current().get("kept") is None


@pytest.mark.parametrize(
    ("backend", "location", "is_fit"),
    [
        ("django.core.cache.backends.locmem.LocMemCache", "x", False),
        ("django.core.cache.backends.dummy.DummyCache", "x", False),
        ("django.core.cache.backends.filebased.FileBasedCache", "x", False),
        ("django.core.cache.backends.db.DatabaseCache", "x", False),
        ("django.core.cache.backends.memcached.PyMemcacheCache", "127.0.0.1:1", False),
        ("django.core.cache.backends.memcached.PyLibMCCache", "127.0.0.1:1", False),
        ("django.core.cache.backends.redis.RedisCache", "redis://127.0.0.1:1", True),
        ("geocache.cache.embedded.EmbeddedCache", "x", True),
        ("diskcache_community.DjangoCache", "x", True),
    ],
)
def test_can_hold_journal__of_each_backend(settings, tmp_path, backend, location, is_fit):
    if location == "x":
        location = str(tmp_path / "x")
    settings.CACHES = {
        **settings.CACHES,
        "tried": {"BACKEND": backend, "LOCATION": location},
    }
    try:
        tried = django_caches["tried"]
    except ImportError:
        # Its client library is not here: what counts is the class it would be made of.
        name = backend.rpartition(".")[2]
        memcached = __import__("django.core.cache.backends.memcached", fromlist=[name])
        tried = object.__new__(getattr(memcached, name))
    assert can_hold_journal(tried) is is_fit


# --- TextSerializer ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["", "a", '{"v":1}', "SEAL", "Zürich 東京", "1.5", "-", "a1", "\0"]
)
def test_text_serializer__keeps_text(value):
    serializer = TextSerializer()
    assert serializer.loads(serializer.dumps(value)) == value


@pytest.mark.parametrize("value", [0, 1, -1, 2**63 - 1])
def test_text_serializer__keeps_whole_numbers_so_that_incr_works(value):
    serializer = TextSerializer()
    assert serializer.dumps(value) == value
    assert serializer.loads(str(value).encode()) == value


@pytest.mark.parametrize(
    "value",
    [True, None, 1.5, b"bytes", [], {}, ("a",), object(), Malicious("x")],
    ids=lambda value: type(value).__name__,
)
def test_text_serializer__refuses_what_is_not_text(value):
    with pytest.raises(TypeError):
        TextSerializer().dumps(value)


@pytest.mark.parametrize(
    "value",
    ["+12", " 12", "12\n", "1_000", "٣", "--1", "- 12", "1.0", "9" * 5000],
    ids=lambda v: v[:9],
)
def test_text_serializer__keeps_text_that_only_looks_like_a_number(value):
    serializer = TextSerializer()
    assert serializer.loads(serializer.dumps(value)) == value


@pytest.mark.parametrize("value", ["12", "-12", "0", "007", str(2**63 - 1)])
def test_text_serializer__refuses_text_that_would_come_back_as_a_number(value):
    with pytest.raises(TypeError):
        TextSerializer().dumps(value)


def test_text_serializer__never_loads_a_pickle(tmp_path):
    trap = tmp_path / "trap"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        loaded = TextSerializer().loads(pickle.dumps(Malicious(trap), protocol))
        assert isinstance(loaded, str)
    assert not trap.exists()


def test_text_serializer__a_malicious_pickle_in_redis_comes_back_as_text(redis_cache, tmp_path):
    trap = tmp_path / "trap"
    redis_cache.set("entry", "text")
    client = redis_cache._cache.get_client(None, write=True)
    client.set(redis_cache.make_key("entry"), pickle.dumps(Malicious(trap)))
    assert isinstance(redis_cache.get("entry"), str)
    assert all(isinstance(text, str) for text in redis_cache.get_many(["entry"]).values())
    assert not trap.exists()


def test_text_serializer__counts_in_redis(redis_cache):
    assert redis_cache.add("t", 2**60, timeout=None)
    assert redis_cache.incr("t") == 2**60 + 1
    assert redis_cache.get("t") == 2**60 + 1


# --- EmbeddedCache -----------------------------------------------------------------------------


def test_embedded__is_a_django_cache(embedded):
    assert isinstance(embedded, BaseCache)
    assert embedded.get("a") is None
    assert embedded.get("a", "else") == "else"
    assert embedded.add("a", "1st")
    assert not embedded.add("a", "2nd")
    assert embedded.get("a") == "1st"
    embedded.set("a", "3rd", version=2)
    assert (embedded.get("a"), embedded.get("a", version=2)) == ("1st", "3rd")
    assert embedded.delete("a")
    assert not embedded.delete("a")
    with pytest.raises(ValueError, match="not found"):
        embedded.incr("no counter")


def test_embedded__set_many_and_delete_many_take_more_keys_than_one_transaction(embedded):
    count = TRANSACTION_KEYS * 2 + 7
    data = {f"k{n}": f"v{n}" for n in range(count)}
    assert embedded.set_many(data, timeout=60) == []
    assert embedded.get_many(data) == data
    embedded.delete_many(iter([*data, "never there"]))
    assert embedded.get_many(data) == {}
    assert embedded.set_many({}) == []
    embedded.delete_many([])


def test_embedded__set_many_is_one_transaction(embedded):
    assert transactions_of(
        embedded, lambda: embedded.set_many({f"k{n}": "v" for n in range(100)})
    ) == (1, 1)


def test_embedded__delete_many_is_one_transaction(embedded):
    embedded.set_many({f"k{n}": "v" for n in range(100)})
    assert transactions_of(embedded, lambda: embedded.delete_many(f"k{n}" for n in range(100))) == (
        1,
        1,
    )


def transactions_of(embedded, act):
    """Count what SQLite itself is told to begin and to commit."""
    told = []
    embedded._cache._con.set_trace_callback(told.append)
    act()
    embedded._cache._con.set_trace_callback(None)
    return (
        sum(statement.startswith("BEGIN") for statement in told),
        sum(statement.startswith("COMMIT") for statement in told),
    )


def test_embedded__set_many_is_all_or_nothing(embedded):
    embedded.set_many({"a": "old"})
    with pytest.raises(TypeError):
        embedded.set_many({"a": "new", "b": Malicious("x"), "c": "new"})
    assert embedded.get_many(["a", "b", "c"]) == {"a": "old"}


def test_embedded__many_values_of_any_kind_come_back_as_they_would_one_by_one(embedded):
    values = {"text": "x", "number": 7, "bytes": b"x", "list": [1, {"a": None}], "long": LONG}
    embedded.set_many(values, timeout=60)
    assert embedded.get_many([*values, "never there"]) == values
    assert {key: embedded.get(key) for key in values} == values
    assert embedded.incr("number") == 8
    assert embedded.get_many(["text", "text"], version=2) == {}


def test_embedded__many_values_take_the_place_of_what_was_there(embedded, tmp_path):
    embedded.set_many({"a": LONG, "b": LONG, "c": "old"}, timeout=None)
    assert len(value_files(tmp_path)) == 2
    embedded.set_many({"a": "new", "c": "new"}, timeout=60)
    assert len(value_files(tmp_path)) == 1
    assert embedded.get_many(["a", "b", "c"]) == {"a": "new", "b": LONG, "c": "new"}
    assert None not in expiries(embedded, "a", "c")
    assert embedded._cache.check() == []
    embedded.delete_many(["a", "b"])
    assert value_files(tmp_path) == []
    assert (embedded.get_many(["a", "b", "c"]), len(embedded._cache)) == ({"c": "new"}, 1)
    assert embedded._cache.check() == []


def test_embedded__what_has_expired_goes_as_others_come(embedded):
    embedded.set_many({f"old {n}": "x" for n in range(30)}, timeout=-1)
    embedded.set_many({f"new {n}": "x" for n in range(30)}, timeout=60)
    assert len(embedded._cache) == 30


def value_files(folder):
    return list(folder.rglob("*.val"))


def test_embedded__timeouts(embedded):
    embedded.set("gone", "x", timeout=0)
    embedded.set("kept", "x", timeout=None)
    embedded.set_many({"gone too": "x"}, timeout=-1)
    assert embedded.get_many(["gone", "kept", "gone too"]) == {"kept": "x"}


def test_embedded__never_evicts(embedded):
    assert embedded._cache.eviction_policy == "none"
    # Far over its limit, where each write would make the others go.
    embedded._cache.reset("size_limit", 1)
    embedded.set_many({f"r:{n}": "x" * 1000 for n in range(1000)}, timeout=None)
    for n in range(200):
        embedded.set(f"e:{n}", "y", timeout=300)
    assert len(embedded.get_many([f"r:{n}" for n in range(1000)])) == 1000


def test_embedded__keeps_a_record_of_200_answers_out_of_the_file_system(embedded, tmp_path):
    embedded.set("record", "x" * 100_000, timeout=None)
    assert {path.name.partition("-")[0] for path in (tmp_path / "cache").iterdir()} == {"cache.db"}


def test_embedded__one_store_for_all_threads_that_survives_the_end_of_a_request(tmp_path):
    directory = str(tmp_path / "cache")
    first = EmbeddedCache(directory, {})
    second = EmbeddedCache(directory, {})
    assert first._cache is second._cache
    first.set("a", "1", timeout=None)
    second.close(signal=None)
    assert first.get("a") == second.get("a") == "1"
    first._cache.close()


def fails_to_write(embedded):
    """Try every kind of write that the app makes, and a read."""
    for write in (
        lambda: embedded.add("b", "x"),
        lambda: embedded.set("a", "x"),
        lambda: embedded.set_many({"a": "x", "b": "x"}),
        lambda: embedded.incr("t"),
        lambda: embedded.delete("a"),
        lambda: embedded.delete_many(["a", "t"]),
    ):
        with pytest.raises(Timeout, match="locked or read-only"):
            write()
    assert embedded.get_many(["a", "b", "t"]) == {"a": "kept", "t": 1}


def test_embedded__locked_for_too_long_is_an_error_and_can_still_be_read(embedded, tmp_path):
    embedded.set_many({"a": "kept", "t": 1})
    assert embedded._cache.timeout == LOCK_SECONDS
    embedded._cache._sql("PRAGMA busy_timeout = 10")
    with closing(sqlite3.connect(tmp_path / "cache/cache.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        fails_to_write(embedded)
        other.rollback()
    assert embedded.add("b", "x")


def test_embedded__read_only_is_an_error_at_once_and_can_still_be_read(embedded):
    embedded.set_many({"a": "kept", "t": 1})
    embedded._cache._sql("PRAGMA query_only = 1")
    fails_to_write(embedded)


def test_embedded__opened_in_a_folder_that_is_read_only_can_be_read(embedded, tmp_path):
    embedded.set("a", "kept", timeout=None)
    embedded._cache.close()
    with Store(str(tmp_path / "cache"), read_only=True) as store:
        assert store.get(embedded.make_key("a")) == "kept"
        with pytest.raises(ReadOnlyError):
            store.set("b", "x")


def test_embedded__does_not_write_what_it_could_not_read_safely(embedded, tmp_path):
    with pytest.raises(TypeError):
        embedded.set("a", Malicious(tmp_path / "trap"))


def test_embedded__unpickles_nothing_that_runs_code(embedded, tmp_path):
    trap = tmp_path / "trap"
    embedded.set("a", ("a", "tuple", "is", "pickled"))
    with sqlite3.connect(tmp_path / "cache/cache.db") as raw:
        changed = raw.execute("UPDATE Cache SET value = ?", [pickle.dumps(Malicious(trap))])
        assert changed.rowcount == 1
    raw.close()
    with pytest.raises(pickle.UnpicklingError):
        embedded.get("a")
    assert not trap.exists()


def test_embedded__threads_add_each_key_once_and_count_all(embedded):
    embedded.set("t", 0, timeout=None)
    barrier = threading.Barrier(8)

    def work():
        barrier.wait()
        won = [embedded.add(f"k{n}", "x", timeout=None) for n in range(50)]
        tickets = {embedded.incr("t") for _ in range(50)}
        return sum(won), tickets

    with ThreadPoolExecutor(8) as pool:
        results = [one.result() for one in [pool.submit(work) for _ in range(8)]]
    assert sum(won for won, _ in results) == 50
    assert set().union(*(tickets for _, tickets in results)) == set(range(1, 401))


RACER = """
    import sys
    import django
    from django.conf import settings
    backend, location, prefix = sys.argv[1:]
    options = {"serializer": "geocache.cache.backends.TextSerializer"} if "redis" in backend else {}
    cache = {"BACKEND": backend, "LOCATION": location, "KEY_PREFIX": prefix, "OPTIONS": options}
    settings.configure(CACHES={"default": cache})
    from django.core.cache import cache
    print("ready", flush=True)
    sys.stdin.readline()
    won = counted = 0
    tickets = set()
    for n in range(500):
        won += cache.add(f"k{n}", "x", timeout=None)
        tickets.add(cache.incr("t"))
    print(won, len(tickets), flush=True)
"""


def race(backend, location, prefix):
    """Let four processes add the same 500 keys and take 500 tickets each, all at once."""
    command = [sys.executable, "-c", textwrap.dedent(RACER), backend, location, prefix]
    racers = [
        subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    results = [racer.communicate(timeout=60)[0].split() for racer in racers]
    return sum(int(won) for won, _ in results), sum(int(count) for _, count in results)


@pytest.mark.slow
def test_embedded__four_processes_add_each_key_once_and_lose_no_count(tmp_path):
    directory = str(tmp_path / "cache")
    backend = EmbeddedCache(directory, {"KEY_PREFIX": "race"})
    backend.set("t", 0, timeout=None)
    assert race("geocache.cache.embedded.EmbeddedCache", directory, "race") == (500, 2000)
    assert backend.get("t") == 2000
    backend._cache.close()


@pytest.mark.slow
def test_redis__four_processes_add_each_key_once_and_lose_no_count(redis_cache, redis_url):
    redis_cache.set("t", 0, timeout=None)
    backend = "django.core.cache.backends.redis.RedisCache"
    assert race(backend, redis_url, redis_cache.key_prefix) == (500, 2000)
    assert redis_cache.get("t") == 2000


@pytest.mark.slow
def test_embedded__another_process_sees_what_this_one_wrote(embedded, tmp_path):
    embedded.set("a", "from here", timeout=None)
    code = (
        "import sys; from geocache.cache.embedded import EmbeddedCache;"
        "c = EmbeddedCache(sys.argv[1], {});"
        "print(c.get('a')); c.set('b', 'from there', timeout=None)"
    )
    setup = "from django.conf import settings; settings.configure();"
    done = subprocess.run(
        [sys.executable, "-c", setup + code, str(tmp_path / "cache")],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "from here\n"
    assert embedded.get("b") == "from there"


def test_require__is_what_skips_where_a_server_is_missing(monkeypatch):
    monkeypatch.setattr("tests.conftest.IS_CI", False)
    with pytest.raises(pytest.skip.Exception):
        require(False, "server")
    monkeypatch.setattr("tests.conftest.IS_CI", True)
    with pytest.raises(pytest.fail.Exception):
        require(False, "server")


ENTRY = backends.Entry("e:1:81.2.69.142", "an answer", 60)


def test_add_both__on_redis_adds_a_record_for_ever_and_an_entry_for_its_time(redis_cache):
    assert backends.add_both(redis_cache, "r:1:0", "a record", ENTRY)
    assert redis_cache.get_many(["r:1:0", ENTRY.key]) == {
        "r:1:0": "a record",
        ENTRY.key: "an answer",
    }
    client = redis_cache._cache.get_client(None, write=True)
    assert client.ttl(redis_cache.make_key("r:1:0")) == -1
    assert 0 < client.ttl(redis_cache.make_key(ENTRY.key)) <= 60


@pytest.mark.parametrize("taken", ["r:1:0", ENTRY.key])
def test_add_both__on_redis_adds_neither_where_one_is_taken(redis_cache, taken):
    redis_cache.set(taken, "SEAL", timeout=60)
    assert not backends.add_both(redis_cache, "r:1:0", "a record", ENTRY)
    assert redis_cache.get_many(["r:1:0", ENTRY.key]) == {taken: "SEAL"}


def test_add_both__an_entry_without_time_to_live_stays(redis_cache):
    assert backends.add_both(redis_cache, "r:1:0", "a record", replace(ENTRY, seconds=None))
    client = redis_cache._cache.get_client(None, write=True)
    assert client.ttl(redis_cache.make_key(ENTRY.key)) == -1


def test_add_both__on_the_embedded_cache_is_one_transaction(embedded):
    assert transactions_of(
        embedded, lambda: backends.add_both(embedded, "r:1:0", "a record", ENTRY)
    ) == (1, 1)
    assert embedded.get_many(["r:1:0", ENTRY.key]) == {
        "r:1:0": "a record",
        ENTRY.key: "an answer",
    }
    assert expiries(embedded, "r:1:0", ENTRY.key) == [None, pytest.approx(time.time() + 60, abs=5)]


def test_add_both__on_the_embedded_cache_adds_neither_where_the_record_is_taken(embedded):
    embedded.set("r:1:0", "SEAL", timeout=60)
    assert not backends.add_both(embedded, "r:1:0", "a record", ENTRY)
    assert embedded.get_many(["r:1:0", ENTRY.key]) == {"r:1:0": "SEAL"}


def test_add_both__on_the_embedded_cache_leaves_no_record_without_its_entry(embedded, monkeypatch):
    def fail(*_, **__):
        raise OSError("no set today")

    monkeypatch.setattr(embedded, "set", fail)
    with pytest.raises(OSError, match="no set today"):
        backends.add_both(embedded, "r:1:0", "a record", ENTRY)
    assert embedded.get_many(["r:1:0", ENTRY.key]) == {}


def test_add_both__on_another_cache_does_nothing(tmp_path):
    backend = FileBasedCache(str(tmp_path), {})
    assert not backends.add_both(backend, "r:1:0", "a record", ENTRY)
    assert not backend.get_many(["r:1:0", ENTRY.key])


def expiries(embedded, *keys):
    rows = [embedded._cache.get(embedded.make_key(key), expire_time=True) for key in keys]
    return [at for _, at in rows]
