import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import is_listening, require
from tests.faults import pairs
from tests.support.cache_set_ups import SET_UPS, has_server

pytestmark = [pytest.mark.any_services, pytest.mark.slow]

ROOT = Path(__file__).parent.parent.parent
# The place where a server of each kind usually listens.
PORTS = {"redis": 6379, "postgres": 5432, "mysql": 3306}


def require_servers(name: str) -> None:
    for url in (pairs.PAIRS[name].cache_url, pairs.PAIRS[name].database_url):
        kind = url.partition(":")[0]
        if kind:
            require(is_listening(url, PORTS[kind]), kind)
    cache = name.removesuffix("-postgres")
    if cache in SET_UPS:
        require(has_server(cache), SET_UPS[cache][0])


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.faults", "--json", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("name", pairs.PAIRS)
def test_harness__nothing_that_was_acknowledged_is_lost(name: str) -> None:
    require_servers(name)

    code, report = run("--pair", name, "--minutes", "0.06")

    found = report["verdict"]
    bad = ("lost", "outdated", "duplicated", "rejected", "pending", "left_over")
    assert {key: found[key] for key in bad} == dict.fromkeys(bad, 0), report
    assert report["crash_count"] == 0, report
    # A false alarm would be as bad.
    assert "geo_journal_records_lost" not in report["notes"]
    assert found["acknowledged"] > 500
    assert report["kill_count"] > 5
    assert code == 0


def test_harness__sees_what_a_broken_flusher_loses() -> None:
    code, report = run("--pair", "embedded-sqlite", "--minutes", "0.1", "--broken")

    assert report["verdict"]["lost"] > 0, report
    assert code == 1
