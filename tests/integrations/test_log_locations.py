import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import structlog

from geocache.cache import backends
from geocache.integrations import hot_reader, log_locations
from geocache.integrations.log_locations import (
    ADDED,
    LocationFilter,
    LocationProcessor,
    add_location,
    location_of,
)
from geocache.journal import last_seen
from geocache.location import NOT_FOUND, Location
from geocache.log import get_logger
from geocache.lookup import hot_entries, lookup
from geocache.lookup.memory import memory
from geocache.testing import override_locations
from tests.factories import LONDON, a_location, use_dummy_provider
from tests.support.redis_process import RedisServer, running
from tests.support.small_project import SmallProject

IPV6 = "2a02:6b8::1"
FIELDS = {
    "country_code": "GB",
    "asn": 5089,
    "organization": "Virgin Media",
    "network": "81.2.69.0/24",
}
SHOWN = {"country": "GB", "asn": 5089, "operator": "Virgin Media", "network": "81.2.69.0/24"}


@pytest.fixture
def known() -> Location:
    """An answer in the memory of the process."""
    location = a_location(LONDON, **FIELDS)
    memory.put([(LONDON, location), (IPV6, a_location(IPV6, **FIELDS))])
    return location


@pytest.fixture(autouse=True)
def provider(settings: Any) -> Any:
    return use_dummy_provider(settings)


def added(event: dict[str, Any], processor: LocationProcessor = add_location) -> dict[str, Any]:
    given = dict(event)
    result = dict(processor(None, "info", event))
    return {key: value for key, value in result.items() if key not in given}


def a_record(args: Any = (), **extra: Any) -> logging.LogRecord:
    record = logging.LogRecord("host", logging.INFO, "host.py", 1, "%s", args, None)
    vars(record).update(extra)
    return record


def added_to(record: logging.LogRecord, **options: Any) -> dict[str, Any]:
    assert LocationFilter(**options).filter(record) is True
    prefix = options.get("prefix", "")
    names = [prefix + name for name in ADDED]
    return {name: vars(record)[name] for name in names if name in vars(record)}


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("key", log_locations.KEYS)
def test_add_location__adds_country_operator_and_network(key: str) -> None:
    assert added({"event": "log_in", key: LONDON}) == SHOWN


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    "address",
    [
        f" {LONDON}",
        f"{LONDON}:443",
        f"::ffff:{LONDON}",
        f"[::ffff:{LONDON}]:443",
        ip_address(LONDON),
        "2A02:06B8:0::1",
        f"[{IPV6}]:443",
        f"[{IPV6}]",
    ],
)
def test_add_location__reads_addresses_in_any_form(address: object) -> None:
    assert added({"ip": address}) == SHOWN


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    "value",
    [
        "10.0.0.1",
        "127.0.0.1:80",
        "::1",
        "unix",
        "",
        "12 High Street",
        "1" * 9999,
        None,
        7,
        [LONDON],
    ],
)
def test_add_location__what_has_no_location_is_left_alone(value: object) -> None:
    assert added({"event": "log_in", "address": value}) == {}
    assert added({"event": "log_in"}) == {}


@pytest.mark.usefixtures("known")
def test_add_location__the_first_key_with_an_address_counts() -> None:
    assert added({"address": "12 High Street", "remote_addr": LONDON}) == SHOWN


@pytest.mark.usefixtures("known")
def test_add_location__replaces_nothing() -> None:
    event = {"ip": LONDON, "country": "France", "network": None}
    assert added(event) == {"asn": 5089, "operator": "Virgin Media"}
    assert (event["country"], event["network"]) == ("France", None)


@pytest.mark.usefixtures("known")
def test_location_processor__has_keys_and_a_prefix_of_its_own() -> None:
    processor = LocationProcessor(["visitor"], prefix="geo_")
    assert added({"visitor": LONDON}, processor)["geo_country"] == "GB"
    assert added({"ip": LONDON}, processor) == {}
    with pytest.raises(TypeError, match="is a text"):
        LocationProcessor("visitor")


def test_add_location__adds_what_is_known_only() -> None:
    memory.put([(LONDON, a_location(LONDON, country_code="GB", asn=None, organization=""))])
    assert added({"ip": LONDON}).keys() <= {"country", "network"}
    memory.put([(LONDON, a_location(LONDON, country_code="", reason=NOT_FOUND))])
    assert added({"ip": LONDON}) == {}


def test_add_location__asks_no_provider_and_notes_nothing(provider: Any) -> None:
    hot_entries.set_many(provider.build(), [a_location(LONDON, **FIELDS)])
    memory.follow(provider.build())
    assert added({"ip": LONDON}) == SHOWN
    assert added({"ip": IPV6}) == {}
    assert provider.asked == []
    assert memory.get(LONDON) is None
    assert not last_seen.tracker.waiting


def test_add_location__never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "current", lambda: 1 / 0)
    assert added({"ip": LONDON}) == {}
    monkeypatch.setattr(memory, "young", None)
    assert added({"ip": LONDON}) == {}


def test_add_location__in_a_test_with_answers_of_its_own() -> None:
    # An address that belongs to the documents, as tests like them.
    with override_locations({"192.0.2.1": {"country_code": "GB"}}):
        assert added({"ip": "192.0.2.1"}) == {}
        lookup("192.0.2.1")
        assert added({"ip": "192.0.2.1"})["country"] == "GB"
        assert added({"ip": "192.0.2.1:443"})["country"] == "GB"
    assert added({"ip": "192.0.2.1"}) == {}


@pytest.mark.usefixtures("known")
def test_location_filter__adds_attributes_to_a_record() -> None:
    assert added_to(a_record(ip=LONDON)) == SHOWN
    assert added_to(a_record(visitor=LONDON), keys=["visitor"], prefix="geo_") == {
        f"geo_{name}": value for name, value in SHOWN.items()
    }
    assert added_to(a_record(ip="10.0.0.1")) == {}
    assert added_to(a_record()) == {}


@pytest.mark.usefixtures("known")
def test_location_filter__a_format_may_name_what_is_not_known() -> None:
    assert added_to(a_record(), default="-") == dict.fromkeys(SHOWN, "-")
    assert added_to(a_record(ip=LONDON), default="-") == SHOWN


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("args", "names"),
    [
        (({"h": LONDON},), ["h"]),
        ((f"{LONDON}:50000", "GET", "/"), [0]),
        ((f"{LONDON}:50000", "GET", "/"), ["h", 0]),
        (({"h": "10.0.0.1", "{x-forwarded-for}i": LONDON},), ["h", "{x-forwarded-for}i"]),
    ],
)
def test_location_filter__reads_arguments_of_an_access_log(args: Any, names: Any) -> None:
    assert added_to(a_record(args), args=names) == SHOWN


@pytest.mark.parametrize("args", [(), (1,), ({"a": 1},), None, ("x", "y")])
def test_location_filter__other_arguments_are_left_alone(args: Any) -> None:
    assert added_to(a_record(args), args=["h", 0, 5]) == {}


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(vars(record))


@pytest.fixture
def kept() -> Iterator[Kept]:
    """A handler with the filter, on geocache's own logger, in a host without structlog."""
    before = structlog.get_config()
    structlog.reset_defaults()
    handler = Kept()
    handler.addFilter(LocationFilter())
    logging.getLogger("geocache").addHandler(handler)
    yield handler
    logging.getLogger("geocache").removeHandler(handler)
    structlog.configure(**before)


@pytest.mark.usefixtures("known")
def test_location_filter__reads_the_lines_of_geocache_itself(kept: Kept) -> None:
    get_logger("geocache.client_ip").warning("geo_proxy_untrusted", address=LONDON)
    (line,) = kept.lines
    assert (line["address"], line["country"]) == (LONDON, "GB")


def test_location_filter__makes_no_line_of_its_own(
    kept: Kept, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.follow(provider.build())
    backends.current().set(hot_entries.key(provider.build(), LONDON), "nonsense")
    logging.getLogger("geocache").warning("line", extra={"ip": LONDON})
    provider.is_failing = True
    monkeypatch.setattr(memory, "build", "")
    logging.getLogger("geocache").warning("line", extra={"ip": LONDON})
    assert len(kept.lines) == 2


def test_location_of__before_anything_was_looked_up_loads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(log_locations.sys.modules, "geocache.lookup.memory")
    monkeypatch.setattr(log_locations.reader, "read", lambda _: {})
    assert location_of(LONDON) is None


def test_log_locations__is_there_before_django_is() -> None:
    code = (
        "import logging, sys; from geocache.integrations.log_locations import LocationFilter\n"
        "record = logging.makeLogRecord({'ip': '81.2.69.142'})\n"
        "assert LocationFilter(default='-').filter(record) and record.country == '-'\n"
        "assert 'geocache.lookup' not in sys.modules and 'django.db' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


HOST = """
GEOCACHE = {"PROVIDER": {"BACKEND": "geocache.providers.dummy.DummyProvider", "OPTIONS": {
    "answers": {"81.2.69.142": {"country_code": "GB"}}}}}
LOGGING = {
    "version": 1,
    "filters": {"location": {
        "()": "geocache.integrations.log_locations.LocationFilter", "default": "-",
    }},
    "formatters": {"line": {"format": "%(message)s %(country)s"}},
    "handlers": {"file": {
        "class": "logging.FileHandler", "filename": BASE_DIR / "site.log",
        "formatter": "line", "filters": ["location"],
    }},
    "root": {"handlers": ["file"], "level": "INFO"},
}
"""
# As in another process than the one that has looked it up, which has a thread to read the cache.
LINES = """
import logging, pathlib, time
while " GB" not in (text := pathlib.Path("site.log").read_text()):
    assert text.count("log-in") < 1_000
    logging.getLogger("site").info("log-in", extra={"ip": "81.2.69.142"})
    time.sleep(0.01)
"""


@pytest.mark.slow
def test_log_lines__of_a_host_have_the_country_that_another_process_knows(tmp_path: Path) -> None:
    host = SmallProject.make(tmp_path, HOST)
    assert host.manage("migrate", "-v0").returncode == 0
    assert host.manage("lookup_geo", "81.2.69.142").returncode == 0
    done = host.manage("shell", "-c", LINES)
    assert done.returncode == 0, done.stderr
    assert (host.folder / "site.log").read_text().endswith("log-in GB\n")


@pytest.fixture
def stalling_redis(tmp_path: Path, settings: Any) -> Iterator[RedisServer]:
    with running(RedisServer(tmp_path)) as server:
        settings.CACHES = {
            **settings.CACHES,
            "geocache": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": server.url,
                "OPTIONS": {"serializer": "geocache.cache.backends.TextSerializer"},
            },
        }
        yield server


@pytest.mark.slow
def test_log_lines__do_not_wait_for_a_cache_that_hangs(
    stalling_redis: RedisServer, provider: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [f"81.{number // 250}.{number % 250}.1" for number in range(1, 1_001)]
    locations = [a_location(address, **FIELDS) for address in addresses]
    hot_entries.set_many(provider.build(), locations)
    memory.follow(provider.build())
    monkeypatch.setattr(hot_reader.under_test, "is_this_process", lambda: False)
    settings.GEOCACHE = {**settings.GEOCACHE, "MEMORY_TTL_SECONDS": 0}
    reader = log_locations.reader
    logger = logging.getLogger("host")
    monkeypatch.setattr(logger, "propagate", False)
    handler = Kept()
    handler.addFilter(LocationFilter())
    logger.addHandler(handler)
    try:
        stalling_redis.stall()
        started, worked = time.perf_counter(), time.thread_time()
        for address in addresses:
            logger.warning("line", extra={"ip": address})
        seconds, worked = time.perf_counter() - started, time.thread_time() - worked
        assert len(handler.lines) == 1_000
        assert not any("country" in line for line in handler.lines)
        assert worked < 0.5
        # One that waits takes five.
        assert seconds < 3
        print(f"1,000 lines while the cache hangs: {seconds * 1000:.1f} ms")
    finally:
        waiting = list(reader.waiting.values())
        stalling_redis.go_on()
        logger.removeHandler(handler)
    assert all(event.wait(30) for event in waiting)
    reader.forget()
