from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from structlog.testing import capture_logs

from geocache import jobs
from geocache.journal.flush import flush_dirty
from geocache.management.demo_run import Trial
from geocache.models import FlushRun, ImportSource, journal
from geocache.statistics import lists, table
from geocache.statistics.after_flush import after_flush
from geocache.statistics.lists import geography_of
from geocache.statistics.table import read_statistics
from tests.factories import LONDON, MOSCOW_V6, a_row, an_admin, use_dummy_provider
from tests.support.admin_pages import FLUSH, LIST, a_run
from tests.support.blocklists import imported

# Resolved so long ago that a refresh resolves it again and a pruning removes it.
OLD = "20.0.0.1"


@pytest.fixture(autouse=True)
def _provider(settings: Any) -> None:
    use_dummy_provider(settings)
    limits = {"REFRESH_TIME_LIMIT_SECONDS": 60, "RETENTION_DAYS": 90}
    settings.GEOCACHE = {**settings.GEOCACHE, **limits}


def has_counts() -> tuple[bool, bool]:
    """Tell whether the table was counted, and the list."""
    source = ImportSource.objects.get()
    return read_statistics() is not None, geography_of(source) is not None


def post_as_admin(path: str, **data: Any) -> None:
    client = Client()
    client.force_login(an_admin())
    assert client.post(path, data).status_code == 302


CALLERS: dict[str, Callable[[], Any]] = {
    "geo_cache_flush": jobs.geo_cache_flush,
    "geo_refresh": jobs.geo_refresh,
    "geo_prune": jobs.geo_prune,
    "flush_geo": lambda: call_command("flush_geo"),
    "refresh_geo": lambda: call_command("refresh_geo"),
    "prune_geo": lambda: call_command("prune_geo"),
    "demo_geo": lambda: Trial().flush(),
    "Flush now": lambda: post_as_admin(FLUSH),
    "Forget": lambda: post_as_admin(f"{LIST}forget/", _selected_action=[OLD]),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("caller", CALLERS)
def test_after_flush__is_called_by_all_that_flush(caller: str) -> None:
    a_row(OLD, resolved_at=datetime.now(UTC) - timedelta(days=400))
    imported(LONDON, MOSCOW_V6)
    assert has_counts() == (False, False)
    CALLERS[caller]()
    assert has_counts() == (True, True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("module", "part", "expected"),
    [
        (table, "table", (False, True)),
        (lists, "lists", (True, False)),
    ],
)
def test_after_flush__failure_is_logged_and_the_other_count_is_made(
    monkeypatch: pytest.MonkeyPatch, module: Any, part: str, expected: tuple[bool, bool]
) -> None:
    def fail(_: Any) -> None:
        raise OperationalError("too slow")

    imported(LONDON)
    flush_dirty()
    monkeypatch.setattr(module, "count", fail)
    with capture_logs() as logged:
        after_flush()
    assert [(line["event"], line["part"], line["error"]) for line in logged] == [
        ("geo_after_flush_failed", part, "too slow")
    ]
    assert has_counts() == expected


@pytest.mark.django_db(transaction=True)
def test_after_flush__forgets_old_runs_of_the_flush_a_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal, "FORGOTTEN_RUNS", 2)
    now = datetime.now(UTC)
    for days in (0, 29, 31, 32, 400):
        a_run(started_at=now - timedelta(days=days))
    counts = []
    for _ in range(3):
        # As cron does it.
        call_command("flush_geo")
        counts.append(FlushRun.objects.count())
    assert counts == [3, 2, 2]
    assert not FlushRun.objects.filter(started_at__lt=now - timedelta(days=30)).exists()
