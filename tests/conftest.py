"""Give every test its own cache namespace, an empty journal and an empty memory."""

import gc
import os
import signal
import socket
import uuid
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import SyncToAsync
from axes.handlers.proxy import AxesProxyHandler
from django.core.cache.backends.redis import RedisCache
from django.db import connection, connections
from django.test import Client
from filelock import FileLock
from hypothesis import settings as hypothesis_settings

from geocache import conf, counters, site_counters
from geocache.cache import backends
from geocache.journal import last_seen, recorder, spill_buffer, writer
from geocache.labels.follow import of_this_process as labels
from geocache.lookup import hot_entries, network_cache
from geocache.lookup.memory import memory
from geocache.providers import mmdb_verification
from geocache.rate_limit.limiter import ProcessStorage
from geocache.runtime_settings import overrides
from tests.factories import a_viewer, an_admin
from tests.support.redis_client import redis_client

# Child processes must react to Ctrl-C, even where the tests run in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine stops for longer than the 200 ms that an example has by default.
hypothesis_settings.register_profile("geocache", deadline=None)
hypothesis_settings.load_profile("geocache")

IS_CI = os.environ.get("CI", "").lower() == "true"


# What these folders test is made of the cache, also where no database is used.
CACHE_FOLDERS = {"cache", "faults", "journal", "locks", "lookup", "rate_limit"}
TESTS = Path(__file__).resolve().parent
# What they try is Python's and the libraries', where it uses no database: Django changes nothing.
ANY_DJANGO_FOLDERS = {
    "addresses",
    "bans",
    "blocklists",
    "charts",
    "databases",
    "decoding",
    "downloads",
    "licences",
    "outages",
    "providers",
}
# And of these, what no release of any dependency changes: they use Python alone.
ANY_VERSION_FOLDERS = {"addresses", "blocklists", "decoding", "licences"}
# They read sources and documents.
TESTS_OF_FILES = {"test_architecture", "test_doc_references", "test_extras", "test_matrix"}
# Of messages that tests wait for.
THROTTLES = (
    hot_entries.undecodable,
    network_cache.rows_down,
    recorder.unrecorded_throttle,
    recorder.written_through,
)
DATABASE_FIXTURES = {"db", "transactional_db"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--services-only",
        action="store_true",
        help="run only what another database or cache can change",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if _knows_no_database_and_no_pages(item):
            item.add_marker("any_django")
            folders = set(item.path.relative_to(TESTS).parts)
            if folders & ANY_VERSION_FOLDERS or item.path.stem in TESTS_OF_FILES:
                item.add_marker("any_version")
        if IS_CI:
            # Many wait for real processes, on a machine that others use too. The summary names each
            # that passed at its second try.
            item.add_marker(pytest.mark.flaky(reruns=1))
    if config.getoption("--services-only"):
        others = [item for item in items if not _uses_services(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if _uses_services(item)]


def _uses_services(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    if item.get_closest_marker("django_db") or DATABASE_FIXTURES & fixtures:
        return True
    return item.path.parent.name in CACHE_FOLDERS


def _knows_no_database_and_no_pages(item: pytest.Item) -> bool:
    folders = set(item.path.relative_to(TESTS).parts)
    of_files = item.path.stem in TESTS_OF_FILES
    return of_files or bool(folders & ANY_DJANGO_FOLDERS and not _uses_services(item))


def require(is_there: bool, what: str) -> None:
    """Skip on a laptop that lacks ``what``; fail in CI, which must have it."""
    if is_there:
        return
    if IS_CI:
        pytest.fail(f"CI has no {what}")
    pytest.skip(f"no {what} here")


def is_listening(url: str, default_port: int) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname, parts.port or default_port), timeout=1):
            return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:  # noqa: ARG001 - ends before it
    """Empty tables fast; at the end close what other threads use, or no database can be dropped."""
    if connection.vendor == "postgresql":
        # After each test with transactions of its own, Django truncates every table, which gives
        # each of them and of their indexes a new file: a quarter of a second.
        connection.ops.sql_flush = _deletions
    yield
    # Of threads that have ended, and of the one that runs what alookup() calls.
    gc.collect()
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()


def _deletions(_style: object, tables: list[str], **_options: object) -> list[str]:
    # In any order: foreign keys are looked at when the transaction ends.
    return [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]


@pytest.fixture(scope="session")
def key_prefixes() -> Iterator[Iterator[str]]:
    """Give each test a namespace, and remove all at the end: a scan reads every key."""
    session = f"geocache-test-{uuid.uuid4().hex[:12]}"
    yield (f"{session}-{number}" for number in count())
    _remove_keys_of(session)


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """Wait as long for the process that verifies a database as a busy machine takes to start it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmdb_verification, "NEWER_WAIT_SECONDS", 60.0)
        yield


@pytest.fixture(autouse=True)
def fresh_cache(settings: Any, key_prefixes: Iterator[str]) -> Iterator[None]:
    """Give each test its own namespace: only keys of the tests are ever deleted."""
    prefix = next(key_prefixes)
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {**settings.CACHES["geocache"], "KEY_PREFIX": prefix},
    }
    _start_fresh()
    yield
    _start_fresh()


def _start_fresh() -> None:
    """Forget what this process knows, as if it had just started."""
    conf.override({})
    overrides.changes.ignored.clear()
    overrides.unread.reset()
    memory.clear()
    writer.process_writer.reset()
    spill_buffer.buffer.take()
    last_seen.tracker.clear()
    labels.reset()
    backends.breaker.reset()
    counters.reset()
    site_counters.of_this_process.reset()
    ProcessStorage.counts.clear()
    # It keeps the first cache that it used.
    AxesProxyHandler.implementation = None
    for throttle in THROTTLES:
        throttle.reset()


def _remove_keys_of(session: str) -> None:
    if not isinstance(backends.current(), RedisCache):
        return
    with redis_client() as client:
        if keys := list(client.scan_iter(f"{session}-*", count=1000)):
            client.delete(*keys)


@pytest.fixture
def viewer(client: Client) -> Client:
    """Return a client that is logged in as a user who may view the pages."""
    client.force_login(a_viewer())
    return client


@pytest.fixture
def superuser(client: Client) -> Client:
    """Return a client that is logged in as a superuser."""
    client.force_login(an_admin())
    return client


@pytest.fixture(scope="session")
def redis_url() -> str:
    """A Redis database that tests may write to, under prefixes of their own."""
    url = os.environ.get("GEOCACHE_TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
    require(is_listening(url, 6379), "Redis")
    return url


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """A PostgreSQL server where tests may create databases."""
    url = os.environ.get(
        "GEOCACHE_TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres"
    )
    require(is_listening(url, 5432), "PostgreSQL")
    return url


@pytest.fixture(scope="session")
def wheel_file(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The wheel of this checkout, which all workers share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "wheel"
    with FileLock(folder.with_suffix(".lock")):
        if not (built := list(folder.glob("*.whl"))):
            # It needs what this module has.
            from tests.support.installed import build_wheel  # noqa: PLC0415

            build_wheel(folder)
            built = list(folder.glob("*.whl"))
    return built[0]
