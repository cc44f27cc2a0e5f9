"""Rows, requests and readings that the admin tests share."""

import re
from typing import Any

import pytest
from django.core.cache.backends.base import BaseCache
from django.db import connection
from django.test import Client

from geocache.cache import backends
from geocache.location import dump_locations
from geocache.models import FlushRun, RejectedEntry
from tests.factories import (
    NOON,
    a_location,
)
from tests.support.assertions import assert_valid_html, no_database_write

LIST = "/admin/geocache/geocache/"
FLUSH = f"{LIST}flush/"
RUNS = "/admin/geocache/flushrun/"
REJECTED = "/admin/geocache/rejectedentry/"
# Session, user, two for permissions, head, statistics or countries, dates, count, rows and their
# dates.
LIST_QUERIES = 13


def a_run(**fields: Any) -> FlushRun:
    given = {"seconds": 0.5, "flushed": 1200, "rejected": 1, "pending": 0, "timed_out": False}
    return FlushRun.objects.create(**{"started_at": NOON} | given | fields)


def a_rejected(record: str | None = None, **fields: Any) -> RejectedEntry:
    text = dump_locations([a_location()]) if record is None else record
    return RejectedEntry.objects.create(**{"record": text, "error": "too long"} | fields)


def shown(client: Client, **query: str) -> list[str]:
    """Return the addresses on the list, in order."""
    with no_database_write(max_queries=LIST_QUERIES):
        response = client.get(LIST, query)
    assert response.status_code == 200
    assert_valid_html(response)
    return [row.address for row in response.context["cl"].result_list]


def said(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def break_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> BaseCache:
        raise OSError("connection refused")

    monkeypatch.setattr(backends, "current", fail)


def explain(queryset: Any) -> str:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Fresh statistics, so that the plan does not depend on the last autovacuum.
            cursor.execute("ANALYZE geocache_geocache")
        elif connection.vendor != "sqlite":
            pytest.skip(f"how {connection.vendor} explains is not known here")
    # SQLite: "2 0 61 SEARCH ...": without the numbers.
    return re.sub(r"^[\d ]+", "", queryset.explain(), flags=re.MULTILINE)
