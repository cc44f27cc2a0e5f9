"""Records in the journal that this release did not write, or cannot read, or that are huge."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import BaseCache
from django.db import connection

from geocache.cache import backends
from geocache.journal import reader, segments, writer
from geocache.journal.flush import flush_dirty
from geocache.location import dump_locations
from geocache.models import GeoCache, RejectedEntry
from tests.factories import a_location
from tests.support.redis_server import a_redis_server

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

DJANGOS_OWN = "django.core.cache.backends.redis.RedisSerializer"


class Foreign:
    """What another program keeps in the same cache, and that does not come back well."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        return _refuse, (self.error,)


def _refuse(error: type[BaseException]) -> None:
    raise error("not for you")


def next_key(backend: BaseCache) -> str:
    """Return the key of the record behind those that are there, as the cache itself names it."""
    return backend.make_key(segments.record_key(reader.last_ticket(), 1))


def flush_all_but_one() -> RejectedEntry:
    writer.process_writer.open_segments.clear()
    writer.append([a_location("20.0.0.2")])

    report = flush_dirty()

    assert (report.flushed, report.rejected) == (2, 1)
    assert set(GeoCache.objects.values_list("address", flat=True)) == {"20.0.0.1", "20.0.0.2"}
    return RejectedEntry.objects.get()


def a_record_of_version(version: int, **changes: Any) -> str:
    record = json.loads(dump_locations([a_location("20.0.0.9")]))
    return json.dumps(record | {"v": version} | changes, separators=(",", ":"))


@pytest.mark.parametrize("version", [0, 1, 10**6])
def test_record__of_an_unknown_version_is_kept_whole_beside_the_others(version: int) -> None:
    writer.append([a_location("20.0.0.1")])
    text = a_record_of_version(version)
    backends.current().add(segments.record_key(reader.last_ticket(), 1), text, timeout=None)

    entry = flush_all_but_one()

    assert entry.record == text
    assert str(version) in entry.error


def test_record__with_fields_of_a_later_release_is_read() -> None:
    record = json.loads(dump_locations([a_location("20.0.0.1")]))
    record["answers"][0] += ["a field of tomorrow"]
    record["more"] = {"of": "tomorrow"}
    number = reader.last_ticket()
    backends.current().add(segments.record_key(number, 0), json.dumps(record), timeout=None)

    assert flush_dirty().flushed == 1
    assert GeoCache.objects.get().to_location() == a_location("20.0.0.1")


@pytest.mark.parametrize("text", ["", "SEALED", "[]", '{"v":1', "\\ud800\x00"])
def test_record__that_is_nonsense_is_put_aside(text: str) -> None:
    writer.append([a_location("20.0.0.1")])
    backends.current().add(segments.record_key(reader.last_ticket(), 1), text, timeout=None)

    flush_all_but_one()


@pytest.mark.parametrize("error", [ValueError, KeyError, RuntimeError, ImportError])
@pytest.mark.parametrize("serializer", ["geocache.cache.backends.TextSerializer", DJANGOS_OWN])
def test_record__pickled_by_another_program_into_redis_is_put_aside(
    tmp_path: Path, settings: Any, serializer: str, error: type[BaseException]
) -> None:
    with a_redis_server(tmp_path, settings, serializer=serializer) as server:
        writer.append([a_location("20.0.0.1")])
        with server.client() as client:
            client.set(next_key(backends.current()), pickle.dumps(Foreign(error)))

        flush_all_but_one()


@pytest.mark.parametrize("data", [b"\x80\x05garbage.", b"\xff\xfe\x00", b"12", b"-1", b"\x00" * 9])
@pytest.mark.parametrize("serializer", ["geocache.cache.backends.TextSerializer", DJANGOS_OWN])
def test_record__of_bytes_put_into_redis_by_hand_is_put_aside(
    tmp_path: Path, settings: Any, serializer: str, data: bytes
) -> None:
    with a_redis_server(tmp_path, settings, serializer=serializer) as server:
        writer.append([a_location("20.0.0.1")])
        with server.client() as client:
            client.set(next_key(backends.current()), data)

        flush_all_but_one()


def test_record__of_several_megabytes_is_flushed_or_put_aside_whole() -> None:
    writer.append([a_location("20.0.0.1")])
    huge = a_location("20.0.0.9", city="x" * 6_000_000)
    writer.append([huge])
    writer.process_writer.open_segments.clear()
    writer.append([a_location("20.0.0.2")])

    report = flush_dirty()

    stored = set(GeoCache.objects.values_list("address", flat=True))
    assert {"20.0.0.1", "20.0.0.2"} <= stored
    assert report.flushed + report.rejected == 3
    if connection.vendor == "sqlite":
        assert GeoCache.objects.get(address="20.0.0.9").to_location() == huge
    else:
        assert RejectedEntry.objects.get().record == dump_locations([huge])


def test_record__huge_and_unreadable_is_put_aside_whole() -> None:
    writer.append([a_location("20.0.0.1")])
    text = a_record_of_version(7, more="x" * 6_000_000)
    backends.current().add(segments.record_key(reader.last_ticket(), 1), text, timeout=None)

    assert flush_all_but_one().record == text
