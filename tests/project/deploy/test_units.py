"""The units of systemd: valid, hardened, and fit for what they start."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from geocache.conf import DEFAULTS
from tests.support.deployed import DEPLOY, program, variables
from tests.support.processes import ROOT

pytestmark = [pytest.mark.any_django, pytest.mark.any_services]

UNITS = DEPLOY / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
EXAMPLES = UNITS / "examples"
PREFIX = "/opt/geocache"
# Of 10, where 0 is the least exposed. With nft a capability and the user namespace are given up.
EXPOSURE, EXPOSURE_WITH_NFT = 1.5, 2.5
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1


def value(path: Path, section: str, name: str) -> str:
    """Return the last value of a key of a unit."""
    parser = ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser documents it
    parser.read_string(path.read_text())
    return parser[section][name]


def test_units__what_runs_jobs_gives_way_to_requests() -> None:
    yielding = {path.stem.removeprefix("geocache-") for path in SERVICES if is_nice(path)}
    assert yielding == {"flush", "jobs", "scheduler", "update"}


def is_nice(path: Path) -> bool:
    """Tell whether a unit leaves the processor to others."""
    return "\nNice=10\n" in path.read_text()


def installed(folder: Path) -> Path:
    """Return the units as they would be installed, with a prefix whose programs exist."""
    units, prefix = folder / "units", folder / "prefix"
    shutil.copytree(UNITS, units)
    (prefix / ".venv/bin").mkdir(parents=True)
    (prefix / "project").symlink_to(ROOT / "project")
    for name in ("python", "gunicorn", "uvicorn"):
        (prefix / ".venv/bin" / name).symlink_to("/bin/true")
    for path in (one for one in units.rglob("*") if one.is_file()):
        path.write_text(path.read_text().replace(PREFIX, str(prefix)))
    return units


def analyze(units: Path, *arguments: str | Path) -> str:
    """Run ``systemd-analyze`` on these units alone; return what it says."""
    done = subprocess.run(
        [program("systemd-analyze"), *map(str, arguments)],
        # The colon adds the units of systemd, such as network-online.target.
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def with_examples(units: Path) -> Path:
    """Put the examples where their first lines say."""
    for path in EXAMPLES.glob("*.conf"):
        for place in re.findall(r"([\w.-]+\.(?:service|socket)\.d/\w+\.conf)", path.read_text()):
            (units / place).parent.mkdir(exist_ok=True)
            shutil.copy(units / "examples" / path.name, units / place)
    return units


@pytest.mark.parametrize("is_with_examples", [False, True])
def test_units__are_valid(tmp_path: Path, *, is_with_examples: bool) -> None:
    units = installed(tmp_path)
    if is_with_examples:
        with_examples(units)
        (units / "fail2ban.service").write_text("[Service]\nExecStart=/bin/true\n")
    named = [one for kind in ("service", "socket", "timer") for one in units.glob(f"*.{kind}")]

    assert len(named) == 13 + is_with_examples
    assert analyze(units, "verify", "--man=no", *named) == ""


def test_units__are_hardened(tmp_path: Path) -> None:
    units = installed(tmp_path)
    for path in SERVICES:
        threshold = f"--threshold={round(EXPOSURE * 10)}"
        analyze(units, "security", "--offline=yes", threshold, units / path.name)
    with_examples(units)
    said = analyze(
        units,
        "security",
        "--offline=yes",
        "--no-pager",
        f"--threshold={round(EXPOSURE_WITH_NFT * 10)}",
        units / "geocache-scheduler.service",
    )
    # The example has an effect: its file comes after that of all units.
    assert re.search(r"✗ CapabilityBoundingSet=~CAP_NET_ADMIN", said)
    assert re.search(r"✓ CapabilityBoundingSet=~CAP_SYS_ADMIN", said)


def test_sysusers_and_tmpfiles__make_the_user_and_its_folders(tmp_path: Path) -> None:
    for folder in ("etc", "run", "var/lib", "var/backups"):
        (tmp_path / folder).mkdir(parents=True)
    subprocess.run(
        [program("systemd-sysusers"), f"--root={tmp_path}", UNITS / "geocache.sysusers.conf"],
        check=True,
    )
    assert re.search(
        r"^geocache:.*:/var/lib/geocache:", (tmp_path / "etc/passwd").read_text(), re.MULTILINE
    )
    if os.getuid() == 0:
        subprocess.run(
            [
                program("systemd-tmpfiles"),
                "--create",
                f"--root={tmp_path}",
                UNITS / "geocache.tmpfiles.conf",
            ],
            check=True,
        )
        modes = {
            name: (tmp_path / name).stat().st_mode & 0o777
            for name in ("etc/geocache", "var/lib/geocache", "var/backups/geocache")
        }
        assert set(modes.values()) == {0o700}


def test_timers__start_a_service_that_is_there() -> None:
    for path in UNITS.glob("*.timer"):
        assert path.with_suffix(".service").exists()
    # What a timer or a socket starts is not enabled by itself.
    enabled = {path.stem for path in SERVICES if "[Install]" in path.read_text()}
    assert enabled == {"geocache-web", "geocache-scheduler"}


def test_commands__exist() -> None:
    commands = [
        line.split("manage.py ")[1].split()
        for path in SERVICES
        for line in path.read_text().splitlines()
        if line.startswith("ExecStart=") and "manage.py" in line
    ]
    assert len(commands) == 5
    for name, *options in commands:
        source = ROOT / "geocache/management/commands" / f"{name}.py"
        assert source.exists(), name
        for option in (one for one in options if one.startswith("--")):
            assert f'"{option}"' in source.read_text(), option


def test_ends__have_the_time_that_they_need() -> None:
    settings = (DEPLOY / "gunicorn.conf.py").read_text()
    drain = int(re.search(r"^graceful_timeout = (\d+)", settings, re.MULTILINE)[1])  # type: ignore[index]
    assert f"--timeout-graceful-shutdown {drain} " in (DEPLOY / "uvicorn.sh").read_text()
    assert int(value(UNITS / "geocache-web.service", "Service", "TimeoutStopSec")) == drain + 10
    # The batch at hand, and a flush of its own.
    scheduler = int(value(UNITS / "geocache-scheduler.service", "Service", "TimeoutStopSec"))
    assert scheduler >= 2 * DEFAULTS["FLUSH_TIME_LIMIT_SECONDS"] + 30


def refuse_writable_code() -> None:
    """Do to this process what MemoryDenyWriteExecute= does."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def can_refuse_writable_code() -> bool:
    pid = os.fork()
    if not pid:
        try:
            refuse_writable_code()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


LIBRARIES = """
import django; django.setup()
import aiohttp, hiredis, ifaddr, maxminddb.extension, msgspec, psycopg, redis
from geocache.bans.own_addresses import read_own_addresses
from geocache.lookup import lookup
print(len(read_own_addresses().addresses) > 0, lookup("127.0.0.1").reason)
import mmap
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    print("refused")
"""


@pytest.mark.slow
def test_hardening__lets_the_libraries_work_without_writable_code(tmp_path: Path) -> None:
    if not can_refuse_writable_code():
        pytest.skip("Linux 6.3 or later can do this without systemd")
    done = subprocess.run(
        [sys.executable, "-c", LIBRARIES],
        cwd=ROOT,
        env=variables(tmp_path, DJANGO_SETTINGS_MODULE="project.settings"),
        preexec_fn=refuse_writable_code,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["True", "loopback", "refused"], done.stderr
