from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError
from structlog.testing import capture_logs

from geocache.exceptions import FlushError, MeteredProvider
from geocache.scheduler import jobs, registry
from geocache.scheduler.registry import job


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Register apart from the jobs of the app, and note when connections are closed."""
    closed: list[str] = []
    monkeypatch.setattr(registry, "registered", [])
    monkeypatch.setattr(registry, "close_old_connections", lambda: closed.append("closed"))
    return closed


def a_job(error: Exception | None = None, **options: Any) -> Callable[[], None]:
    @job(interval_seconds=lambda: 60, **options)
    def geo_test() -> None:
        if error is not None:
            raise error

    return geo_test


@pytest.mark.parametrize(
    "error",
    [
        FlushError("away"),
        ImproperlyConfigured("away"),
        OSError("away"),
        OperationalError("away"),
        InterfaceError("away"),
    ],
)
def test_job__known_error_is_one_event(error: Exception) -> None:
    called: list[str] = []
    with capture_logs() as events:
        a_job(error, on_failure=lambda: called.append("on_failure"))()
    assert events == [{"event": "geo_test_failed", "error": "away", "log_level": "error"}]
    assert called == ["on_failure"]


def test_job__silent_error_is_no_event() -> None:
    with capture_logs() as events:
        a_job(MeteredProvider("costs"), silent=(MeteredProvider,))()
    assert events == []


def test_job__defect_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        a_job(ZeroDivisionError())()


@pytest.mark.parametrize("error", [None, FlushError("away"), ZeroDivisionError()])
def test_job__closes_old_connections_before_and_after(
    closed: list[str], error: Exception | None
) -> None:
    with suppress(ZeroDivisionError):
        a_job(error)()
    assert closed == ["closed"] * 2


def test_job__is_registered_by_its_name_and_reads_settings_late() -> None:
    interval, is_enabled = 60, False

    @job(interval_seconds=lambda: interval, is_enabled=lambda: is_enabled)
    def geo_test() -> None:
        """Do nothing."""

    [found] = registry.registered
    assert (found.id, found.interval_seconds, found.is_enabled()) == ("geo_test", 60, False)
    interval, is_enabled = 5, True
    assert (found.interval_seconds, found.is_enabled()) == (5, True)
    assert found.function is geo_test


def test_registered__job_table_finds_each_by_its_path() -> None:
    for one in jobs.registered:
        assert one.function is getattr(jobs, one.id)
        assert one.function.__module__ == "geocache.scheduler.jobs"
    assert len(jobs.registered) == 7
