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
from django.core.cache import caches as django_caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.filebased import FileBasedCache

from geocache.cache import backends
from geocache.cache.backends import TextSerializer, can_hold_journal
from geocache.cache.embedded import FILE_NAME, TRANSACTION_KEYS, EmbeddedCache
from geocache.exceptions import CacheUnusable
from tests.conftest import require

pytestmark = pytest.mark.cache_decides

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def embedded(tmp_path):
    backend = EmbeddedCache(str(tmp_path / "cache"), {"TIMEOUT": 300})
    yield backend
    close(backend)


def close(backend):
    """Close this thread's connection, as before a fork."""
    backend._mine.__dict__.clear()


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


def test_journal_aliases__its_own_first_and_each_once(settings):
    assert backends.journal_aliases() == ["geocache"]
    settings.CACHES = {
        **settings.CACHES,
        "other": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }
    settings.GEOCACHE = {**settings.GEOCACHE, "CACHE_ALIASES": ["other", "geocache", "other"]}
    assert backends.journal_aliases() == ["geocache", "other"]


def test_journal_aliases__those_of_the_site_are_not_for_its_tests(settings):
    # CACHES names it for the site, not for this test alone.
    settings.GEOCACHE = {**settings.GEOCACHE, "CACHE_ALIASES": ["default"]}
    assert "default" in settings.CACHES
    assert backends.journal_aliases() == ["geocache"]


def test_using__selects_a_cache_for_the_journal_and_not_for_look_ups(settings):
    settings.CACHES = {
        **settings.CACHES,
        "other": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }
    own = backends.current()
    with backends.using("other"):
        assert backends.selected() is django_caches["other"]
        assert backends.selected_alias() == "other"
        assert backends.current() is own
        with backends.using("geocache"):
            assert backends.selected() is own
    assert (backends.selected(), backends.selected_alias()) == (own, "geocache")


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
    ("backend", "location", "problem"),
    [
        ("django.core.cache.backends.locmem.LocMemCache", "x", "each process has its own"),
        ("django.core.cache.backends.dummy.DummyCache", "x", "keeps nothing"),
        ("django.core.cache.backends.filebased.FileBasedCache", "x", "not atomic"),
        ("django.core.cache.backends.db.DatabaseCache", "x", "MAX_ENTRIES"),
        ("django.core.cache.backends.memcached.PyMemcacheCache", "127.0.0.1:1", "evicts"),
        ("django.core.cache.backends.memcached.PyLibMCCache", "127.0.0.1:1", "evicts"),
        ("geocache.cache.embedded.EmbeddedCache", "x", ""),
    ],
)
def test_journal_problem__of_each_backend(settings, tmp_path, backend, location, problem):
    if location == "x":
        location = str(tmp_path / "x")
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {"BACKEND": backend, "LOCATION": location},
    }
    try:
        tried = backends.current()
    except ImportError:
        # Its client library is not here: what counts is the class it would be made of.
        name = backend.rpartition(".")[2]
        memcached = __import__("django.core.cache.backends.memcached", fromlist=[name])
        tried = object.__new__(getattr(memcached, name))
    found = backends.journal_problem(tried)
    assert problem in found
    assert can_hold_journal(tried) is (found == "") is (problem == "")


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


@pytest.mark.parametrize(
    ("backend", "option"),
    [
        ("django.core.cache.backends.redis.RedisCache", "serializer"),
        ("django_redis.cache.RedisCache", "SERIALIZER"),
        ("django_valkey.cache.ValkeyCache", "SERIALIZER"),
    ],
)
def test_text_serializer__serves_each_library(settings, redis_url, tmp_path, backend, option):
    scheme = "valkey" if "valkey" in backend else "redis"
    entry = {
        "BACKEND": backend,
        "LOCATION": redis_url.replace("redis:", f"{scheme}:"),
        "KEY_PREFIX": settings.CACHES["geocache"]["KEY_PREFIX"],
    }
    settings.CACHES = {**settings.CACHES, "geocache": entry}
    assert backends.does_unpickle(backends.current())

    text = {"OPTIONS": {option: "geocache.cache.backends.TextSerializer"}}
    settings.CACHES = {**settings.CACHES, "geocache": entry | text}
    own = backends.current()
    assert not backends.does_unpickle(own)
    own.set_many({"a": "text", "n": 5})
    assert own.get_many(["a", "n"]) == {"a": "text", "n": 5}
    backends.redis_client(own).set(own.make_key("a"), pickle.dumps(Malicious(tmp_path / "trap")))
    assert isinstance(own.get("a"), str)
    assert not (tmp_path / "trap").exists()
    with pytest.raises(TypeError):
        own.set("a", object())


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


def test_embedded__add_many_is_one_transaction(embedded):
    assert transactions_of(
        embedded, lambda: embedded.add_many([f"k{n}" for n in range(100)], "v", 60)
    ) == (1, 1)
    assert transactions_of(embedded, lambda: embedded.add_many([], "v", 60)) == (0, 0)


def transactions_of(embedded, act):
    """Count what SQLite itself is told to begin and to commit."""
    told = []
    connection = embedded.connection()
    connection.set_trace_callback(told.append)
    act()
    connection.set_trace_callback(None)
    return (
        sum(statement.startswith("BEGIN") for statement in told),
        sum(statement.startswith("COMMIT") for statement in told),
    )


def test_embedded__set_many_is_all_or_nothing(embedded):
    embedded.set_many({"a": "old"})
    with pytest.raises(TypeError):
        embedded.set_many({"a": "new", "b": Malicious("x"), "c": "new"})
    assert embedded.get_many(["a", "b", "c"]) == {"a": "old"}


VALUES = {
    "text": "x",
    "empty": "",
    "digits": "007",
    "not ASCII": "Zürich 東京",
    "with a NUL": "a\0b",
    "long": "x" * 5_000_000,
    "number": 7,
    "least": -(2**63),
    "most": 2**63 - 1,
}


def test_embedded__keeps_text_and_whole_numbers_as_they_are(embedded):
    embedded.set_many(VALUES, timeout=60)
    assert embedded.get_many([*VALUES, "never there"]) == VALUES
    for key, value in VALUES.items():
        embedded.set(key, value)
        assert (embedded.get(key), type(embedded.get(key))) == (value, type(value))


@pytest.mark.parametrize(
    "value",
    [True, None, 1.5, b"bytes", [], {}, ("a",), object(), Malicious("x")],
    ids=lambda value: type(value).__name__,
)
def test_embedded__refuses_what_is_not_text_or_a_whole_number(embedded, value):
    embedded.set("a", "kept")
    for write in (
        lambda: embedded.set("a", value),
        lambda: embedded.add("b", value),
        lambda: embedded.set_many({"c": "x", "a": value}),
    ):
        with pytest.raises(TypeError, match="only text and whole numbers"):
            write()
    assert embedded.get_many(["a", "b", "c"]) == {"a": "kept"}


def test_embedded__a_number_of_more_than_64_bits_is_an_error_and_changes_nothing(embedded):
    with pytest.raises(OverflowError):
        embedded.set("a", 2**63)
    embedded.set("a", 2**63 - 1)
    with pytest.raises(OverflowError):
        embedded.incr("a")
    assert embedded.get("a") == 2**63 - 1
    assert embedded.decr("a") == 2**63 - 2


def test_embedded__text_is_not_counted(embedded):
    embedded.set("a", "12")
    with pytest.raises(TypeError):
        embedded.incr("a")
    assert embedded.get("a") == "12"


def test_embedded__what_has_expired_goes_as_others_come(embedded):
    embedded.set_many({f"old {n}": "x" for n in range(1000)}, timeout=60)
    let_all_expire(embedded)
    assert row_count(embedded) == 1000
    embedded.set_many({f"new {n}": "x" for n in range(400)}, timeout=60)
    assert row_count(embedded) == 600
    for _ in range(100):
        embedded.set("one", "x")
    assert row_count(embedded) == 401


def test_embedded__a_file_does_not_grow_with_what_expires(embedded):
    def churn():
        for number in range(200):
            embedded.set_many({f"{number} {n}": "x" * 100 for n in range(50)}, timeout=0)

    churn()
    size = embedded.path.stat().st_size
    churn()
    assert embedded.path.stat().st_size == size


def let_all_expire(embedded):
    embedded.connection().execute("UPDATE entries SET expires_at = 1")


def row_count(embedded):
    return embedded.connection().execute("SELECT count(*) FROM entries").fetchone()[0]


def test_embedded__timeouts(embedded):
    embedded.set("gone", "x", timeout=0)
    embedded.set("kept", "x", timeout=None)
    embedded.set("default", "x")
    embedded.set_many({"gone too": "x"}, timeout=-1)
    assert embedded.get_many(["gone", "kept", "gone too", "default"]) == {
        "kept": "x",
        "default": "x",
    }
    assert expiries(embedded, "kept", "default") == [None, pytest.approx(time.time() + 300, abs=5)]


def test_embedded__what_has_expired_is_not_there_though_its_row_is(embedded):
    embedded.set_many({"a": 1, "b": 1}, timeout=60)
    let_all_expire(embedded)
    assert embedded.get("a") is None
    assert embedded.get_many(["a"]) == {}
    assert not embedded.has_key("a")
    assert not embedded.touch("a", timeout=60)
    assert not embedded.delete("a")
    with pytest.raises(ValueError, match="not found"):
        embedded.incr("a")
    assert row_count(embedded) == 2
    assert embedded.add("a", 5, timeout=None)
    assert embedded.get("a") == 5


def test_embedded__a_touched_key_expires_later_and_a_counted_one_as_before(embedded):
    embedded.set("a", 1, timeout=60)
    embedded.incr("a")
    assert expiries(embedded, "a") == [pytest.approx(time.time() + 60, abs=5)]
    assert embedded.touch("a", timeout=600)
    assert expiries(embedded, "a") == [pytest.approx(time.time() + 600, abs=5)]
    assert embedded.touch("a", timeout=None)
    assert expiries(embedded, "a") == [None]
    assert embedded.touch("a", timeout=0)
    assert embedded.get("a") is None


def test_embedded__clear_and_versions_and_prefixes(embedded, tmp_path):
    other = EmbeddedCache(str(tmp_path / "cache"), {"KEY_PREFIX": "other", "VERSION": 7})
    embedded.set("a", "1st")
    other.set("a", "other")
    assert (embedded.get("a"), other.get("a")) == ("1st", "other")
    assert embedded.incr_version("a") == 2
    assert (embedded.get("a"), embedded.get("a", version=2)) == (None, "1st")
    assert embedded.get_many(["a"], version=2) == {"a": "1st"}
    embedded.delete_many(["a"], version=2)
    assert embedded.get("a", version=2) is None
    embedded.clear()
    assert row_count(embedded) == 0


def test_embedded__never_removes_what_has_not_expired(embedded):
    records = {f"r:{n}": "x" * 1000 for n in range(2000)}
    embedded.set_many(records, timeout=None)
    for n in range(200):
        embedded.set(f"e:{n}", "y", timeout=300)
    assert embedded.get_many(records) == records
    assert row_count(embedded) == 2200


def test_embedded__its_files_are_its_owner_s_alone(embedded):
    embedded.set("a", "x")
    modes = {path.name: path.stat().st_mode & 0o777 for path in embedded.path.parent.iterdir()}
    assert modes == {FILE_NAME: 0o600, f"{FILE_NAME}-wal": 0o600, f"{FILE_NAME}-shm": 0o600}
    assert embedded.path.parent.stat().st_mode & 0o777 == 0o700


def test_embedded__one_connection_for_all_of_a_thread_that_survives_the_end_of_a_request(
    tmp_path,
):
    directory = str(tmp_path / "cache")
    first, second = EmbeddedCache(directory, {}), EmbeddedCache(directory, {})
    first.set("a", "1", timeout=None)
    second.close(signal=None)
    assert first.connection() is second.connection()
    assert first.get("a") == second.get("a") == "1"


def test_embedded__connections_of_threads_are_closed_when_they_end(embedded):
    def in_a_thread():
        with ThreadPoolExecutor(1) as other:
            other.submit(embedded.get, "a").result()
        return open_files(embedded)

    # SQLite itself keeps one for the next connection.
    assert in_a_thread() == in_a_thread() == in_a_thread()


def open_files(embedded):
    """Count what this process has open of the cache's files."""
    links = Path("/proc/self/fd")
    if not links.exists():
        pytest.skip("needs /proc")
    targets = [link.readlink() for link in links.iterdir() if link.is_symlink()]
    return sum(str(target).startswith(str(embedded.path)) for target in targets)


def fails_to_write(embedded):
    """Try every kind of write that the app makes, and a read."""
    for write in (
        lambda: embedded.add("b", "x"),
        lambda: embedded.set("a", "x"),
        lambda: embedded.set_many({"a": "x", "b": "x"}),
        lambda: embedded.incr("t"),
        lambda: embedded.delete("a"),
        lambda: embedded.delete_many(["a", "t"]),
        lambda: embedded.touch("a"),
        embedded.clear,
        lambda: embedded.append(("b", "x"), ("a", "x", 60), "f", ("n", 1)),
    ):
        with pytest.raises(CacheUnusable, match=r"cache cannot be written: .*(locked|readonly)"):
            write()
    assert embedded.get_many(["a", "b", "t"]) == {"a": "kept", "t": 1}


def test_embedded__locked_for_too_long_is_an_error_and_can_still_be_read(embedded):
    embedded.set_many({"a": "kept", "t": 1})
    connection = embedded.connection()
    assert connection.execute("PRAGMA busy_timeout").fetchone() == (5000,)
    connection.execute("PRAGMA busy_timeout = 10")
    with closing(sqlite3.connect(embedded.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        fails_to_write(embedded)
        other.rollback()
    assert embedded.add("b", "x")


def test_embedded__read_only_is_an_error_at_once_and_can_still_be_read(embedded):
    embedded.set_many({"a": "kept", "t": 1})
    embedded.connection().execute("PRAGMA query_only = 1")
    fails_to_write(embedded)


def test_embedded__a_new_thread_reads_while_another_process_writes(embedded):
    embedded.set("a", "kept")
    with closing(sqlite3.connect(embedded.path)) as other, ThreadPoolExecutor(1) as thread:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        assert thread.submit(embedded.get, "a").result() == "kept"
        assert time.monotonic() - started < 1
        other.rollback()


def test_embedded__is_made_by_the_first_write_and_not_by_a_read(tmp_path):
    backend = EmbeddedCache(str(tmp_path / "cache"), {"KEY_PREFIX": "p"})
    assert backend.get("a", "none") == "none"
    assert backend.get_many(["a", "b"]) == {}
    assert list(backend.names("p")) == []
    assert list(tmp_path.iterdir()) == []
    backend.set("a", "kept")
    assert backend.get("a") == "kept"
    assert backend.get_many(["a", "b"]) == {"a": "kept"}


def test_embedded__on_a_read_only_disk_can_be_read(tmp_path, monkeypatch):
    backend = EmbeddedCache(str(tmp_path / "cache"), {})
    backend.set_many({"a": "kept", "t": 1}, timeout=None)
    close(backend)
    assert [path.name for path in backend.path.parent.iterdir()] == [FILE_NAME]
    monkeypatch.setattr(os, "access", lambda *_: False)
    fails_to_write(backend)
    # As on the disk itself, where no other file could be made.
    assert [path.name for path in backend.path.parent.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("content", [b"no database " * 100, b"SQLite format 3\0" + b"\xff" * 4080])
def test_embedded__a_file_that_is_no_database_is_put_aside(tmp_path, content):
    (tmp_path / FILE_NAME).write_bytes(content)
    backend = EmbeddedCache(str(tmp_path), {})
    with pytest.raises(CacheUnusable, match=f"{tmp_path} cannot be opened"):
        backend.get("a")
    assert (tmp_path / f"{FILE_NAME}.damaged").read_bytes() == content
    backend.set("a", "x")
    assert backend.get("a") == "x"


def test_embedded__unpickles_nothing(embedded, tmp_path):
    trap = tmp_path / "trap"
    embedded.set("a", "x")
    with closing(sqlite3.connect(embedded.path)) as raw, raw:
        raw.execute("UPDATE entries SET value = ?", [pickle.dumps(Malicious(trap))])
    assert isinstance(embedded.get("a"), bytes)
    assert isinstance(embedded.get_many(["a"])["a"], bytes)
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


@pytest.mark.any_services
@pytest.mark.slow
def test_embedded__four_processes_add_each_key_once_and_lose_no_count(tmp_path):
    directory = str(tmp_path / "cache")
    backend = EmbeddedCache(directory, {"KEY_PREFIX": "race"})
    backend.set("t", 0, timeout=None)
    assert race("geocache.cache.embedded.EmbeddedCache", directory, "race") == (500, 2000)
    assert backend.get("t") == 2000


@pytest.mark.slow
def test_redis__four_processes_add_each_key_once_and_lose_no_count(redis_cache, redis_url):
    redis_cache.set("t", 0, timeout=None)
    backend = "django.core.cache.backends.redis.RedisCache"
    assert race(backend, redis_url, redis_cache.key_prefix) == (500, 2000)
    assert redis_cache.get("t") == 2000


@pytest.mark.any_services
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


SCRIPT = """
    import os, sys, threading, time
    from django.conf import settings
    settings.configure()
    from geocache.cache.embedded import EmbeddedCache
    cache = EmbeddedCache(sys.argv[1], {})
"""


def start(code, embedded):
    """Start Python on ``code``, with the cache of this test."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c"]
    return subprocess.Popen(
        [*command, textwrap.dedent(SCRIPT) + textwrap.dedent(code), str(embedded.path.parent)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.mark.any_services
@pytest.mark.slow
def test_embedded__killed_in_the_middle_of_writes_it_keeps_what_it_said(embedded):
    writing = """
    for number in range(10**9):
        cache.append(
            (f"{os.getpid()}:{number}", "x" * 5000), ("entry", str(number), 60), "f", ("n", 1)
        )
        assert cache.incr("t") > number
        print(os.getpid(), number, flush=True)
    """
    embedded.set("t", 0, timeout=None)
    for _ in range(5):
        writers = [start(writing, embedded) for _ in range(2)]
        time.sleep(2)
        for writer in writers:
            writer.kill()
        said = "".join(writer.communicate()[0].rpartition("\n")[0] + "\n" for writer in writers)
        # A line that a kill has cut short says nothing: it has been left out above.
        keys = [line.replace(" ", ":") for line in said.splitlines() if line.count(" ") == 1]
        assert len(keys) > 10
        assert embedded.get_many(keys).keys() == set(keys)
        # Of each writer, one that was written may not have been said any more.
        assert 0 <= embedded.get("t") - len(keys) <= 2
        assert embedded.connection().execute("PRAGMA integrity_check").fetchone() == ("ok",)
        embedded.set("t", 0, timeout=None)


FORKING = """
    cache.set("t", 0, timeout=None)
    children = []
    for number in range(4):
        if not (child := os.fork()):
            for n in range(100):
                cache.add(f"{number}:{n}", "x", timeout=None)
                cache.incr("t")
            sys.exit()
        children.append(child)
        cache.incr("t", 1000)
    codes = [os.waitpid(child, 0)[1] for child in children]
    print(codes, cache.get("t"))
"""


@pytest.mark.any_services
@pytest.mark.slow
def test_embedded__children_of_a_fork_have_connections_of_their_own(embedded):
    assert start(FORKING, embedded).communicate(timeout=60)[0] == "[0, 0, 0, 0] 4400\n"
    assert len(embedded.get_many([f"{child}:{n}" for child in range(4) for n in range(100)])) == 400


ORPHAN = """
    cache.set("a", "x", timeout=None)
    if not os.fork():
        cache.set("b", "x", timeout=None)
        while os.getppid() != 1:
            time.sleep(0.01)
        cache.set("c", "x", timeout=None)
        # As one that is killed: nothing is closed.
        os._exit(0)
"""


@pytest.mark.any_services
@pytest.mark.slow
def test_embedded__what_a_child_writes_after_its_parent_s_end_is_kept(tmp_path):
    # No other connection, so that the parent's is the last one that SQLite knows of.
    folder = tmp_path / "cache"
    backend = EmbeddedCache(str(folder), {})
    close(backend)
    assert start(ORPHAN, backend).communicate(timeout=60)[0] == ""
    assert backend.get_many(["a", "b", "c"]) == {"a": "x", "b": "x", "c": "x"}


@pytest.mark.any_services
@pytest.mark.slow
def test_embedded__a_process_that_ends_leaves_no_connection_unclosed(embedded):
    ending = """
    threading.Thread(target=lambda: (cache.get("a"), time.sleep(60)), daemon=True).start()
    thread = threading.Thread(target=cache.get, args=["a"])
    thread.start()
    thread.join()
    time.sleep(0.2)
    """
    assert start(ending, embedded).communicate(timeout=60)[0] == ""


@pytest.mark.any_services
@pytest.mark.slow
def test_embedded__many_processes_open_a_new_one_at_once(embedded, tmp_path):
    opening = """
    import pathlib
    base = pathlib.Path(sys.argv[1]).parent
    for number in range(30):
        while time.time() < float((base / "at").read_text()) + number / 20:
            pass
        EmbeddedCache(str(base / str(number)), {}).add("a", "x")
    """
    (tmp_path / "at").write_text(str(time.time() + 2))
    openers = [start(opening, embedded) for _ in range(4)]
    assert [opener.communicate(timeout=60)[0] for opener in openers] == [""] * 4


def test_require__is_what_skips_where_a_server_is_missing(monkeypatch):
    monkeypatch.setattr("tests.conftest.IS_CI", False)
    with pytest.raises(pytest.skip.Exception):
        require(False, "server")
    monkeypatch.setattr("tests.conftest.IS_CI", True)
    with pytest.raises(pytest.fail.Exception):
        require(False, "server")


ENTRY = backends.Entry("e:1:81.2.69.142", "an answer", 60)


def append_both(backend, entry=ENTRY):
    return backends.append(backend, ("r:1:0", "a record"), entry, flush_key="f", pending=("n", 3))


def test_append__on_redis_adds_a_record_for_ever_and_an_entry_for_its_time(redis_cache):
    assert append_both(redis_cache).is_set
    assert redis_cache.get_many(["r:1:0", ENTRY.key]) == {
        "r:1:0": "a record",
        ENTRY.key: "an answer",
    }
    client = redis_cache._cache.get_client(None, write=True)
    assert client.ttl(redis_cache.make_key("r:1:0")) == -1
    assert 0 < client.ttl(redis_cache.make_key(ENTRY.key)) <= 60


@pytest.mark.parametrize("taken", ["r:1:0", ENTRY.key])
def test_append__on_redis_adds_neither_where_one_is_taken(redis_cache, taken):
    redis_cache.set(taken, "SEAL", timeout=60)
    assert not append_both(redis_cache).is_set
    assert redis_cache.get_many(["r:1:0", ENTRY.key]) == {taken: "SEAL"}


def test_append__on_redis_refused_leaves_the_time_of_the_entry_that_is_there(redis_cache):
    redis_cache.set(ENTRY.key, "another", timeout=10)
    assert not append_both(redis_cache, replace(ENTRY, seconds=3600)).is_added
    client = redis_cache._cache.get_client(None, write=True)
    assert 0 < client.ttl(redis_cache.make_key(ENTRY.key)) <= 10
    redis_cache.set(ENTRY.key, "another", timeout=None)
    assert not append_both(redis_cache).is_added
    assert client.ttl(redis_cache.make_key(ENTRY.key)) == -1


def test_append__on_redis_is_one_trip(redis_cache, monkeypatch):
    append_both(redis_cache)
    redis_cache.delete_many(["r:1:0", ENTRY.key])
    connection = redis_cache._cache.get_client(None, write=True).connection_pool.connection_class
    sent = []
    send = connection.send_packed_command
    monkeypatch.setattr(
        connection,
        "send_packed_command",
        lambda self, command, **options: sent.append(command) or send(self, command, **options),
    )
    assert append_both(redis_cache).is_set
    assert not append_both(redis_cache).is_set
    assert len(sent) == 2


def test_append__on_a_redis_that_has_forgotten_its_scripts_adds_both(redis_cache):
    redis_cache._cache.get_client(None, write=True).script_flush()
    assert append_both(redis_cache).is_set
    assert redis_cache.get_many(["r:1:0", ENTRY.key]) == {
        "r:1:0": "a record",
        ENTRY.key: "an answer",
    }


@pytest.mark.parametrize("seconds", [0, -1])
def test_append__leaves_an_entry_that_expires_at_once_alone(redis_cache, seconds):
    assert append_both(redis_cache, replace(ENTRY, seconds=seconds)) == backends.Appended(
        True, False, None, 3
    )
    assert redis_cache.get_many(["r:1:0", ENTRY.key]) == {"r:1:0": "a record"}


def test_append__for_a_redis_user_without_scripts_adds_the_record_alone(
    redis_cache, redis_url, settings
):
    redis_cache.set_many({"f": 7, "n": 2})
    name = f"plain{os.getpid()}"
    client = redis_cache._cache.get_client(None, write=True)
    client.execute_command("ACL", "SETUSER", name, "on", "nopass", "~*", "+@all", "-@scripting")
    entry = settings.CACHES["geocache"]
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {**entry, "LOCATION": redis_url.replace("://", f"://{name}:x@")},
    }
    try:
        assert append_both(backends.current()) == backends.Appended(True, False, 7, 5)
        assert redis_cache.get_many(["r:1:0", ENTRY.key]) == {"r:1:0": "a record"}
    finally:
        client.execute_command("ACL", "DELUSER", name)


def test_append__an_entry_without_time_to_live_stays(redis_cache):
    assert append_both(redis_cache, replace(ENTRY, seconds=None)).is_set
    client = redis_cache._cache.get_client(None, write=True)
    assert client.ttl(redis_cache.make_key(ENTRY.key)) == -1


def test_append__on_the_embedded_cache_is_one_transaction(embedded):
    assert transactions_of(embedded, lambda: append_both(embedded).is_set) == (1, 1)
    assert embedded.get_many(["r:1:0", ENTRY.key]) == {
        "r:1:0": "a record",
        ENTRY.key: "an answer",
    }
    assert expiries(embedded, "r:1:0", ENTRY.key) == [None, pytest.approx(time.time() + 60, abs=5)]


def test_append__on_the_embedded_cache_adds_neither_where_the_record_is_taken(embedded):
    embedded.set("r:1:0", "SEAL", timeout=60)
    assert not append_both(embedded).is_set
    assert embedded.get_many(["r:1:0", ENTRY.key]) == {"r:1:0": "SEAL"}


def test_append__on_the_embedded_cache_leaves_no_record_without_its_entry(embedded):
    embedded.connection().execute(
        "CREATE TEMP TRIGGER refusing BEFORE INSERT ON entries WHEN new.key GLOB '*:e:*'"
        " BEGIN SELECT RAISE(ABORT, 'no entry today'); END"
    )
    with pytest.raises(sqlite3.IntegrityError, match="no entry today"):
        append_both(embedded)
    assert embedded.get_many(["r:1:0", ENTRY.key]) == {}


def test_append__on_another_cache_adds_the_record_alone(tmp_path):
    backend = FileBasedCache(str(tmp_path), {})
    assert append_both(backend) == backends.Appended(is_added=True)
    assert backend.get_many(["r:1:0", ENTRY.key]) == {"r:1:0": "a record"}


@pytest.mark.parametrize("cache_name", ["embedded", "redis_cache"])
def test_append__reads_and_raises_counters(cache_name, request):
    backend = request.getfixturevalue(cache_name)
    backend.set("f", 7)
    backend.set("n", 2)
    assert append_both(backend) == backends.Appended(True, True, 7, 5)
    # Not added, so not counted.
    assert append_both(backend) == backends.Appended(False, False, 7, 5)


@pytest.fixture
def file_based_cache(tmp_path):
    return FileBasedCache(str(tmp_path), {})


@pytest.mark.parametrize("cache_name", ["embedded", "redis_cache", "file_based_cache"])
def test_add_many__adds_and_returns_what_is_new(cache_name, request):
    backend = request.getfixturevalue(cache_name)
    backend.set("r:1:1", "held", timeout=None)
    keys = ["r:1:2", "r:1:1", "r:1:0"]
    assert backends.add_many(backend, keys, "SEAL", 60) == {"r:1:2", "r:1:0"}
    assert backend.get_many(keys) == {"r:1:2": "SEAL", "r:1:1": "held", "r:1:0": "SEAL"}
    assert backends.add_many(backend, keys, "SEAL", 60) == set()


@pytest.mark.parametrize("cache_name", ["embedded", "redis_cache", "file_based_cache"])
def test_delete_many__deletes_what_there_is(cache_name, request):
    backend = request.getfixturevalue(cache_name)
    backend.set_many({"a": "x", "b": "x", "c": "x"})
    backends.delete_many(backend, iter(["a", "c", "never"]))
    backends.delete_many(backend, [])
    assert backend.get_many(["a", "b", "c"]) == {"b": "x"}


def expiries(embedded, *keys):
    rows = dict(embedded.connection().execute("SELECT key, expires_at FROM entries"))
    return [rows[embedded.make_key(key)] for key in keys]
