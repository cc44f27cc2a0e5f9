"""What Nagios reads, and what real processes exit with."""

import json
import re
import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from geocache.health import parts
from geocache.journal import writer
from geocache.management.check_output import lines
from geocache.models import FlushRun, RejectedEntry, SchedulerLease
from geocache.providers.quota import Usage
from geocache.status import Status
from tests.factories import a_location, use_dummy_provider
from tests.management.test_status_geo import shown
from tests.support.commands import run
from tests.support.redis_process import RedisServer, running

# Without a database: refuses what no plug-in may say.
LINE = re.compile(r"GEOCACHE (?:OK|WARNING|CRITICAL) - [^|\n]+\|('[^'=]+'=\d+s?;\d*;\d*;0(?: |$))*")


@pytest.mark.django_db
def test_check__all_is_well(settings: Any) -> None:
    use_dummy_provider(settings)
    writer.append([a_location(resolved_at=timezone.now() - timedelta(seconds=5))])
    soon = timezone.now() + timedelta(minutes=1)
    SchedulerLease.objects.create(name="geo_scheduler", holder="host:1", expires_at=soon)
    out, err, code = shown("--check")
    assert LINE.fullmatch(out.strip())
    assert out.startswith("GEOCACHE OK - 1 answer waits to be flushed, and nothing is wrong|")
    assert "'pending'=1;500000;1000000;0" in out
    assert "'oldest'=5s;180;7200;0" in out
    assert (err, code) == ("", 0)


@pytest.mark.django_db
def test_check__a_warning(settings: Any) -> None:
    use_dummy_provider(settings)
    RejectedEntry.objects.create(record="?", error="?")
    out, _, code = shown("--check")
    first, second = out.splitlines()
    assert first.startswith("GEOCACHE WARNING - The database has refused 1 answer.")
    assert second.startswith("WARNING: The database has refused 1 answer.")
    assert second.endswith(" See docs/troubleshooting.md#rejected-entries")
    assert code == 1


@pytest.mark.django_db
def test_check__what_is_critical_comes_first(settings: Any) -> None:
    use_dummy_provider(settings)
    RejectedEntry.objects.create(record="?", error="?")
    fields = {"seconds": 1, "flushed": 0, "rejected": 0, "pending": 0, "timed_out": False}
    FlushRun.objects.create(started_at=timezone.now(), error="full | disk", **fields)
    out, _, code = shown("--check")
    first, second, _third = out.splitlines()
    assert LINE.fullmatch(first)
    assert first.startswith("GEOCACHE CRITICAL - The last flush failed: full / disk.")
    assert " (and 1 more)|" in first
    assert second.startswith("CRITICAL: ")
    assert code == 2


@pytest.mark.django_db
def test_check__as_json(settings: Any) -> None:
    use_dummy_provider(settings)
    out, _, code = shown("--check", "--json")
    told = json.loads(out)
    assert (told["status"], told["level"], told["findings"], code) == ("ready", "ok", [], 0)


@pytest.mark.any_services
def test_check__cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("odd | thing\nat all")

    monkeypatch.setattr(parts, "read", fail)
    assert shown("--check") == ("GEOCACHE UNKNOWN - odd / thing\n", "", 3)


@pytest.mark.any_services
def test_lines__figures_that_are_not_known_are_left_out() -> None:
    usages = (Usage(provider="o'r=s", asked_count=1, limit=10),)
    (line,) = lines(Status(pending_count=None, usages=usages), [])
    assert line.endswith("|'left_ors'=9;;;0")


@pytest.mark.any_services
def test_lines__a_limit_of_none_has_no_bounds(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BACKLOG_LIMIT": 0}
    (line,) = lines(Status(pending_count=7), [])
    assert "'pending'=7;;;0" in line


@pytest.mark.slow
@pytest.mark.any_services
def test_check__of_real_processes(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate", "-v0").returncode == 0
    well = run(tmp_path, "status_geo", "--check")
    # The sample of 2019 is in use.
    assert well.returncode == 1
    assert "#no-database" in well.stdout
    away = run(tmp_path, "status_geo", "--check", CACHE_URL="redis://127.0.0.1:1/0")
    assert away.returncode == 2
    assert "#cache-unavailable" in away.stdout
    wrong = run(tmp_path, "status_geo", "--check", "--no-such")
    assert wrong.returncode == 3
    started = time.monotonic()
    assert run(tmp_path, "status_geo", "--check", "--help").returncode == 0
    start_seconds = time.monotonic() - started
    with running(RedisServer(tmp_path)) as redis, socket.create_server(("127.0.0.1", 0)) as silent:
        redis.stall()
        database = f"postgres://postgres@127.0.0.1:{silent.getsockname()[1]}/postgres"
        started = time.monotonic()
        hung = run(tmp_path, "status_geo", "--check", CACHE_URL=redis.url, DATABASE_URL=database)
        seconds = time.monotonic() - started
        redis.go_on()
    assert hung.returncode == 2
    said = hung.stdout.splitlines()
    assert said[1].startswith("CRITICAL: cache: no answer within 1.2 s.")
    assert said[2].startswith("CRITICAL: database: no answer within 1.2 s.")
    # It waits for 1.2 s; what hangs would take five.
    assert seconds - start_seconds < 4.5
