"""The wall clock of a whole machine is set, as after a pause, while the other clocks go on."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from geocache.models import GeoCache
from tests.support import processes
from tests.support.redis_server import a_redis_server
from tests.support.wall_clock import WallClock

pytestmark = [pytest.mark.any_services, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

HOUR = 3600

LOOKING_UP = """
import sys
from django.conf import settings
settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": {
    "BACKEND": "geocache.providers.dummy.DummyProvider", "OPTIONS": {}}}
from geocache import lookup
for line in sys.stdin:
    print(lookup.lookup(line.strip()).address, flush=True)
"""


class Machine:
    """A writer that lives on, and flushes in processes of their own, all with one wall clock."""

    def __init__(self, clock: WallClock, **variables: str) -> None:
        self.clock = clock
        self.variables = clock.environment | variables
        self.writer = processes.start_script(LOOKING_UP, **self.variables)

    def look_up(self, *addresses: str) -> None:
        """Return when the answers are acknowledged."""
        assert self.writer.stdin
        assert self.writer.stdout
        for address in addresses:
            self.writer.stdin.write(f"{address}\n")
            self.writer.stdin.flush()
            # Its log is there, too.
            assert address in (line.strip() for line in iter(self.writer.stdout.readline, ""))

    def flush(self) -> str:
        """Run the command."""
        return processes.start("flush_geo", **self.variables).communicate(timeout=60)[0]


@pytest.fixture(params=["embedded", "redis"])
def machine(request: pytest.FixtureRequest, tmp_path: Path, settings: Any) -> Iterator[Machine]:
    """A machine on each of the two caches; Redis has its clock, too."""
    clock = WallClock(tmp_path)
    with _cache(request.param, tmp_path, settings, clock) as variables:
        machine = Machine(clock, **variables)
        try:
            yield machine
        finally:
            machine.writer.kill()
            machine.writer.communicate()


@contextmanager
def _cache(name: str, folder: Path, settings: Any, clock: WallClock) -> Iterator[dict[str, str]]:
    if name == "embedded":
        yield {"CACHE_URL": "", "GEOCACHE_VAR_DIR": str(folder / "var")}
        return
    with a_redis_server(folder, settings, env=os.environ | clock.environment) as server:
        yield {"CACHE_URL": server.url, "GEOCACHE_VAR_DIR": str(folder / "var")}


def stored() -> set[str]:
    return set(GeoCache.objects.values_list("address", flat=True))


def test_wall_clock__is_what_processes_see(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    clock.set(10 * 365 * 24 * HOUR)

    shown = subprocess.run(
        ["date", "+%Y"], env=os.environ | clock.environment, capture_output=True, check=True
    )

    assert int(shown.stdout) > 2035


@pytest.mark.parametrize("step", [HOUR + 60, 2 * HOUR, 40 * 24 * HOUR, -2 * HOUR])
def test_clock__set_while_a_segment_is_open_loses_nothing(machine: Machine, step: int) -> None:
    machine.look_up("20.0.0.1")
    machine.flush()
    # The seal stands behind the record; from here on it may have expired.
    machine.clock.set(step)
    machine.look_up("20.0.0.2", "20.0.0.3")
    machine.flush()
    machine.flush()

    assert stored() == {"20.0.0.1", "20.0.0.2", "20.0.0.3"}


def test_clock__set_ahead_and_back_again_and_again_loses_nothing(machine: Machine) -> None:
    expected = set()
    for number, step in enumerate([0, HOUR + 60, 0, 3 * HOUR, -HOUR, 9 * HOUR]):
        machine.clock.set(step)
        addresses = {f"20.0.{number}.{one}" for one in range(3)}
        machine.look_up(*addresses)
        expected |= addresses
        if number % 2:
            machine.flush()
    machine.flush()

    assert stored() == expected
