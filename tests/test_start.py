"""What a process loads when it starts, in a host with every extra, and what that costs."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories import CITY_RECORD, an_mmdb
from tests.support.processes import ROOT

# Each is for some commands or requests alone, or belongs to an extra.
NOT_LOADED = {
    "_geoip_geolite2",
    "aiohttp",
    "apscheduler",
    "django_apscheduler",
    "django_countries",
    "filelock",
    "geocache.addresses.extraction",
    "geocache.admin.setting_pages",
    "geocache.api",
    "geocache.bans.apply",
    "geocache.blocklists.formats",
    "geocache.charts",
    "geocache.client_ip",
    "geocache.databases",
    "geocache.downloads",
    "geocache.exports",
    "geocache.journal.flush",
    "geocache.maintenance",
    "geocache.rate_limit",
    "geocache.runtime_settings.catalogue",
    "geocache.scheduler",
    "geocache.statistics.table",
    "geocache.status",
    "geocache.urls",
    "geocache.web.frame",
    "geocache.web.log_in",
    "geocache.web.views",
    "geoip2",
    "ifaddr",
    "limits",
    "pygal",
    "pygal_maps_world",
    "requests",
    "structlog",
    "tqdm",
    "urllib3",
}
SAY_LOADED = f"print('loaded:', *sorted({NOT_LOADED} & sys.modules.keys()))"
SET_UP = f"import sys, django; django.setup(); {SAY_LOADED}"
LOOK_UP = (
    "import sys; from django.core.management import execute_from_command_line as run; "
    f"run(['manage.py', 'lookup_geo', '81.2.69.142']); {SAY_LOADED}"
)
LASTING = """
import sys, time, django
django.setup()
from geocache import background
background.start()
until = time.monotonic() + 10
while "structlog" not in sys.modules and time.monotonic() < until:
    time.sleep(0.05)
print("structlog" in sys.modules)
"""
BARE = "from django.core.management import execute_from_command_line as run; run(['', 'version'])"
# Several times what it takes: a busy machine is slow, and a library that is loaded costs as much.
MOST_SECONDS = 0.6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("start")
    (made / "databases").mkdir()
    an_mmdb(made / "databases/city.mmdb", {"81.2.69.0/24": CITY_RECORD})
    # The first process verifies the database.
    run(made, LOOK_UP)
    return made


def run(folder: Path, program: str, app: str = "geocache") -> str:
    given = {
        **{name: value for name, value in os.environ.items() if name != "CACHE_URL"},
        "DJANGO_SETTINGS_MODULE": "tests.benchmarks.bare_settings",
        "BENCHMARK_FOLDER": str(folder),
        "BENCHMARK_APP": app,
    }
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=given, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.mark.parametrize("program", [SET_UP, LOOK_UP], ids=["django.setup()", "lookup_geo"])
def test_start__loads_only_what_it_uses(folder: Path, program: str) -> None:
    assert run(folder, program).splitlines()[-1] == "loaded:"


@pytest.mark.slow
def test_start__a_process_that_lasts_loads_what_it_logs_with(folder: Path) -> None:
    # It may be unable to open a file when it has to log that.
    assert run(folder, LASTING) == "True\n"


@pytest.mark.slow
def test_start__a_look_up_costs_little_more_than_a_bare_command(folder: Path) -> None:
    def seconds(program: str, app: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(folder, program, app)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    added = min(seconds(LOOK_UP, "geocache") - seconds(BARE, "") for _ in range(2))
    assert added < MOST_SECONDS
