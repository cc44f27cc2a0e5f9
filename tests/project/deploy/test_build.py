"""What the Containerfile builds: built and run by its own lines, in a folder of its own."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests.factories import CITY_RECORD, an_mmdb
from tests.support.deployed import DEPLOY, HOST, ask, program, running, wait_for
from tests.support.processes import ROOT, wait_until
from tests.support.redis_process import free_port

pytestmark = [pytest.mark.any_services]

# A line that ends with a backslash goes on.
CONTAINERFILE = (DEPLOY / "Containerfile").read_text().replace("\\\n", "")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = ("migrate", "web", "scheduler")
NOBODY = 65534


def lines(word: str) -> list[list[str]]:
    return [line.split()[1:] for line in CONTAINERFILE.splitlines() if line.startswith(f"{word} ")]


def variables_of_image() -> dict[str, str]:
    return dict(pair.split("=", 1) for line in lines("ENV") for pair in line)


def test_containerfile__copies_and_runs_what_is_there() -> None:
    for *sources, _ in lines("COPY"):
        assert all((ROOT / one).exists() for one in sources)
    assert ["project/deploy/build.sh"] in lines("RUN")
    (command,) = lines("CMD")
    assert json.loads(" ".join(command))[2] == "project/deploy/gunicorn.conf.py"
    # Not as root.
    assert CONTAINERFILE.index("\nUSER 10001") < CONTAINERFILE.index("\nCMD")


def test_compose__starts_what_the_image_has() -> None:
    services = COMPOSE["services"]
    assert services["migrate"]["build"]["dockerfile"] == "project/deploy/Containerfile"
    for name in OURS:
        command = services[name].get("command", [])
        if "manage.py" in command:
            assert (ROOT / "geocache/management/commands" / f"{command[2]}.py").exists() or (
                command[2] == "migrate"
            )
        assert "var:/var/lib/geocache" in services[name]["volumes"]
    assert lines("VOLUME") == [["/var/lib/geocache"]]
    # The journal: nothing may be evicted, nothing be lost by a restart.
    redis = services["redis"]["command"]
    assert redis[redis.index("--appendonly") + 1] == "yes"
    assert redis[redis.index("--maxmemory-policy") + 1] == "noeviction"
    (network,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert services["web"]["environment"]["GEOCACHE_TRUSTED_PROXIES"] == network["gateway"]
    # Only a proxy on the machine reaches the web server.
    assert services["web"]["ports"] == ["127.0.0.1:8000:8000"]


def test_compose__stops_as_the_units_do() -> None:
    for name in ("web", "scheduler"):
        unit = (DEPLOY / f"systemd/geocache-{name}.service").read_text()
        (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
        assert COMPOSE["services"][name]["stop_grace_period"] == f"{seconds}s"


# --- built and run -------------------------------------------------------------------------------


def python_for_strangers() -> tuple[list[str], str]:
    """Return what runs a command without rights, as in the container, and a Python that it may run.

    Where that cannot be done: nothing, and the Python of the tests.
    """
    own = str(Path(sys.executable).resolve())
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if os.getuid() or shutil.which("setpriv") is None:
        return [], own
    for python in (own, "/usr/bin/python3"):
        # It has to find itself, as the verification of a database starts it again.
        code = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
        done = subprocess.run([*command, python, "-c", code], check=False, capture_output=True)
        if done.returncode == 0:
            return command, python
    return [], own


class Image:
    """A folder as the image has it, and its variables."""

    def __init__(self, folder: Path) -> None:
        self.app, self.var, self.log = folder / "app", folder / "var", folder / "log"
        self.port = free_port()
        self.app.mkdir()
        self.stranger, self.python = python_for_strangers()
        self.var.mkdir()
        mmdb = an_mmdb(folder / "city.mmdb", {"81.2.69.0/24": CITY_RECORD})
        mmdb.chmod(0o644)
        if self.stranger:
            os.chown(self.var, NOBODY, NOBODY)
        self.env = {
            "PATH": f"{self.app}/.venv/bin:/usr/bin:/bin",
            **variables_of_image(),
            "GEOCACHE_VAR_DIR": str(self.var),
            "STATIC_ROOT": str(self.app / "static"),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "SECRET_KEY": "for-this-test-alone-" * 3,
            "ALLOWED_HOSTS": HOST,
            "TRUST_X_FORWARDED_PROTO": "true",
            "GEOCACHE_TRUSTED_PROXIES": "172.30.86.1",
            "GEOCACHE_DATABASES": str(mmdb),
            "GEOCACHE_UPDATE_DAYS": "0",
            "WEB_CONCURRENCY": "2",
        }

    def build(self) -> None:
        for *sources, _ in lines("COPY"):
            for source in sources:
                if (ROOT / source).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(ROOT / source, self.app / source, ignore=ignored)
                else:
                    shutil.copy(ROOT / source, self.app)
        # How this machine reaches an index of packages.
        reached = re.compile(r"(UV|PIP|SSL|REQUESTS|CURL|NODE)_|.*_PROXY$", re.IGNORECASE)
        kept = {name: value for name, value in os.environ.items() if reached.match(name)}
        kept |= {
            "PATH": f"{Path(program('uv')).parent}:/usr/bin:/bin",
            "HOME": os.environ.get("HOME", "/"),
            "STATIC_ROOT": self.env["STATIC_ROOT"],
            # To compile what few of these processes import takes longer than they do.
            "UV_COMPILE_BYTECODE": "0",
            "UV_PYTHON": self.python,
            # The environment of the shell that builds, as a run of nox has one, is left alone.
            "UV_PROJECT_ENVIRONMENT": str(self.var / "of-the-shell"),
        }
        done = subprocess.run(
            [self.app / "project/deploy/build.sh"],
            cwd="/",
            env=kept,
            check=False,
            stderr=-1,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        # It warns of a Python that the user of the services may not run.
        assert not (self.stranger and "may not enter" in done.stderr)

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self.stranger, ".venv/bin/python", "manage.py", *arguments],
            cwd=self.app,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def row_count(self) -> int:
        place = f"file:{self.var}/geocache.sqlite3?mode=ro"
        with closing(sqlite3.connect(place, uri=True)) as database:
            ((count,),) = database.execute("SELECT count(*) FROM geocache_geocache")
            return int(count)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder that others may read: those of pytest are its user's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.slow
def test_build__runs_without_anything_else(folder: Path) -> None:
    image = Image(folder)
    image.build()
    image.manage("migrate", "--verbosity", "0")
    image.manage("check", "--deploy", "--fail-level", "WARNING")
    image.manage("lookup_geo", "81.2.69.142")

    (command,) = lines("CMD")
    server = [*image.stranger, *json.loads(" ".join(command))]
    scheduler = [*image.stranger, *COMPOSE["services"]["scheduler"]["command"]]
    with (
        running(server, env=image.env, cwd=image.app, log=folder / "web.log") as web,
        running(scheduler, env=image.env, cwd=image.app, log=folder / "jobs.log") as jobs,
    ):
        wait_for(image.port, web, folder / "web.log")
        page = ask(image.port, headers=[("X-Forwarded-Proto", "https")])
        assert (page.status, page.headers["Location"]) == (302, "/login/?next=/")
        probe = [image.app / ".venv/bin/python", DEPLOY / "probe.py"]
        for path, said in (("/login/", ""), ("/nothing/", "/nothing/: 404\n")):
            done = subprocess.run(
                [*probe, path], env=image.env, check=False, capture_output=True, text=True
            )
            assert (done.stderr, done.returncode) == (said, int(bool(said)))
        wait_until(lambda: image.row_count() == 1 or jobs.poll() is not None, seconds=60)
        began = time.monotonic()
        for process in (web, jobs):
            process.send_signal(signal.SIGTERM)
        ended = [process.wait(timeout=40) for process in (web, jobs)]
        seconds = time.monotonic() - began
    log = (folder / "jobs.log").read_text()
    assert ended == [0, 0], log
    assert seconds < 20
    assert image.row_count() == 1
