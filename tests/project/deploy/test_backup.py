"""Back up a site in use, lose it, restore it: what was answered before is in the table."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.factories import CITY_RECORD, an_mmdb
from tests.support.deployed import DEPLOY, program, running, variables
from tests.support.processes import ROOT, wait_until
from tests.support.redis_process import RedisServer
from tests.support.redis_process import running as redis_running

pytestmark = [pytest.mark.slow, pytest.mark.any_services]

SETUP = "import django; django.setup(); from geocache.lookup import lookup_many, lookup\n"
# Answers one address after another, and notes each that it was given an answer for.
WRITER = f"""{SETUP}
import itertools
for n in itertools.count():
    lookup(f"20.0.{{n >> 8}}.{{n & 255}}")
    print(n, flush=True)
"""
FLUSHER = """
import django; django.setup()
import time
from geocache.journal.flush import flush_dirty
while True:
    flush_dirty()
    time.sleep(0.2)
"""
# What stands before "flush" is in the table afterwards, what stands behind it waits.
ANSWER = f"""{SETUP}
import sys
from geocache.journal.flush import flush_dirty
given = sys.argv[1:]
if "flush" in given:
    lookup_many(given[:given.index("flush")])
    flush_dirty()
    given = given[given.index("flush") + 1:]
lookup_many(given)
"""
STATE = f"""{SETUP}
import json
from geocache.journal.flush import flush_dirty
from geocache.models import AnswerHistory, FlushRun, GeoCache, RejectedEntry
# What comes after a restore gets to the table as ever.
lookup_many(["20.9.0.1", "20.9.0.2"])
report = flush_dirty()
print(json.dumps({{
    "rows": sorted(GeoCache.objects.values_list("address", flat=True)),
    "lost": sum(FlushRun.objects.values_list("lost", flat=True)),
    "pending": report.pending,
    "beside": AnswerHistory.objects.count() + RejectedEntry.objects.count(),
}}))
"""
AFTER = {"20.9.0.1", "20.9.0.2"}


def addresses(count: int, first: int = 0) -> list[str]:
    return [f"20.0.{n >> 8}.{n & 255}" for n in range(first, first + count)]


class Site:
    """A production site with a database file of its own."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.folder = folder
        mmdb = an_mmdb(folder / "city.mmdb", {"20.0.0.0/8": CITY_RECORD})
        self.env = variables(
            folder / "var",
            DJANGO_SETTINGS_MODULE="project.settings",
            GEOCACHE_DATABASES=str(mmdb),
            PYTHON=sys.executable,
            LOG_LEVEL="WARNING",
            **more,
        )

    def run(self, *command: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command],
            cwd=ROOT,
            env=self.env | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def output_of(self, *command: str | Path, **more: str) -> str:
        done = self.run(*command, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def answer(self, *given: str) -> None:
        self.output_of(sys.executable, "-c", ANSWER, *given)

    def back_up(self, *options: str, **more: str) -> Path:
        printed = self.output_of(DEPLOY / "backup.sh", *options, self.folder / "backups", **more)
        return Path(printed.splitlines()[-1])

    def restore(self, *given: str | Path) -> str:
        return self.output_of(DEPLOY / "restore.sh", *given)

    def state(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.output_of(sys.executable, "-c", STATE))
        return found

    def lose(self) -> None:
        """Lose what this machine had."""
        shutil.rmtree(self.folder / "var")


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the database of a site that was migrated."""
    made = Site(tmp_path_factory.mktemp("migrated"))
    made.output_of(sys.executable, "manage.py", "migrate", "--verbosity", "0")
    return made.folder / "var/geocache.sqlite3"


@pytest.fixture
def site(tmp_path: Path, migrated: Path) -> Site:
    (tmp_path / "var").mkdir()
    shutil.copy(migrated, tmp_path / "var")
    return Site(tmp_path)


@contextmanager
def in_use(site: Site) -> Iterator[Path]:
    """Write and flush all the time; give the file that names what was answered."""
    acknowledged = site.folder / "acknowledged"
    flushed = site.folder / "flusher.log"
    with (
        running([sys.executable, "-c", WRITER], env=site.env, log=acknowledged) as writer,
        running([sys.executable, "-c", FLUSHER], env=site.env, log=flushed) as flusher,
    ):
        wait_until(lambda: acknowledged.exists() and len(answered(acknowledged)) > 100)
        yield acknowledged
        for one in (writer, flusher):
            assert one.poll() is None, acknowledged.read_text() + flushed.read_text()
            # As when the machine is lost.
            one.send_signal(signal.SIGKILL)


def answered(acknowledged: Path) -> list[str]:
    whole = acknowledged.read_text().rpartition("\n")[0]
    return [addresses(1, int(line))[0] for line in whole.splitlines() if line.isdigit()]


def test_backup__of_a_site_in_use_has_each_answer_from_before(site: Site) -> None:
    with in_use(site) as acknowledged:
        before = answered(acknowledged)
        backup = site.back_up()
        after = answered(acknowledged)
    site.lose()

    shown = site.restore(backup)
    state = site.state()

    assert len(after) > len(before)
    assert set(before) <= set(state.pop("rows"))  # type: ignore[call-overload]
    assert state == {"lost": 0, "pending": 0, "beside": 0}
    assert re.search(r"^\d+ flushed, 0 rejected, 0 pending", shown, re.MULTILINE)
    # No other user may read it.
    assert {path.stat().st_mode & 0o077 for path in [backup, *backup.iterdir()]} == {0}


def test_restore__of_a_database_alone_and_what_it_refuses(site: Site) -> None:
    backups = site.folder / "backups"
    site.answer(*addresses(30))
    # With a flush before it.
    backup = site.back_up("--without-cache")
    assert not list(backup.glob("cache*"))

    taken = site.run(DEPLOY / "restore.sh", backup)
    assert (taken.returncode, "--replace" in taken.stderr) == (1, True)
    elsewhere = site.run(DEPLOY / "restore.sh", "--replace", backup, CACHE_KEY_PREFIX="other")
    assert (elsewhere.returncode, "prefix geocache" in elsewhere.stderr) == (1, True)

    shutil.rmtree(site.folder / "var/cache")
    site.restore("--replace", backup)
    assert (site.folder / "var/geocache.sqlite3.before-restore").exists()
    assert site.state() == {
        "rows": sorted({*addresses(30), *AFTER}),
        "lost": 0,
        "pending": 0,
        "beside": 0,
    }

    with (backup / "database.sqlite3").open("ab") as file:
        file.write(b"x")
    damaged = site.run(DEPLOY / "restore.sh", "--replace", backup)
    assert (damaged.returncode, "FAILED" in damaged.stdout) == (1, True)
    # An older one goes.
    backup.rename(backups / "2020-01-01T000000Z")
    newest = site.back_up("--keep", "1")
    assert [path.name for path in backups.iterdir()] == [newest.name]


def test_restore__of_a_lost_database_keeps_the_live_cache(site: Site) -> None:
    site.answer(*addresses(5))
    backup = site.back_up()
    site.answer(*addresses(5, first=5))
    (site.folder / "var/geocache.sqlite3").unlink()

    taken = site.run(DEPLOY / "restore.sh", backup)
    assert (taken.returncode, "cache.sqlite3 exists" in taken.stderr) == (1, True)
    # It looks at all places before it writes to one of them.
    assert not (site.folder / "var/geocache.sqlite3").exists()

    site.restore("--without-cache", backup)
    assert site.state()["rows"] == sorted({*addresses(10), *AFTER})


def test_restore__again_keeps_what_the_first_one_put_aside(site: Site) -> None:
    site.answer("20.0.0.1")
    backup = site.back_up()

    site.restore("--replace", backup)
    site.restore("--replace", backup)

    aside = list((site.folder / "var").glob("geocache.sqlite3.before-restore*"))
    assert len(aside) == 2


@pytest.mark.parametrize("given", [[], ["--keep"], ["--keep", "two", "x"], ["--unknown", "x"]])
def test_backup__says_how_it_is_used(tmp_path: Path, given: list[str]) -> None:
    done = subprocess.run(
        [DEPLOY / "backup.sh", *given], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr.partition(":")[0]) == (2, "usage")


def test_backup__that_fails_leaves_nothing(site: Site) -> None:
    (site.folder / "var/cache").mkdir(exist_ok=True)
    (site.folder / "var/cache/cache.sqlite3").write_bytes(b"damaged" * 1000)

    done = site.run(DEPLOY / "backup.sh", site.folder / "backups")

    assert done.returncode == 1
    assert list((site.folder / "backups").iterdir()) == []


# --- PostgreSQL and Redis ------------------------------------------------------------------------


@contextmanager
def postgres_database(url: str) -> Iterator[str]:
    name = f"backup_{uuid.uuid4().hex[:12]}"
    with closing(psycopg.connect(url, autocommit=True)) as server:
        server.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        try:
            yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]


def require_pg_dump(url: str) -> None:
    client = subprocess.run(
        [program("pg_dump"), "--version"], capture_output=True, text=True, check=True
    )
    found = client.stdout.split()[2].partition(".")[0]
    with closing(psycopg.connect(url)) as server:
        if int(found) < server.info.server_version // 10_000:
            pytest.skip("pg_dump refuses a server that is newer")


# Between the copy of the cache and that of the database, all that waits is flushed.
SLOW_DUMP = """#!/bin/sh
set -e
"$PYTHON" -c '{answer}' 20.0.1.0 20.0.1.1 flush 20.0.1.2
exec {program} "$@"
"""


def test_backup__of_postgresql_and_redis_has_what_a_flush_moved_meanwhile(
    tmp_path: Path, postgres_url: str
) -> None:
    require_pg_dump(postgres_url)
    program("redis-cli")
    for name in ("redis", "bin"):
        (tmp_path / name).mkdir()
    # By default a copy waits five seconds for another replica.
    at_once = ("--repl-diskless-sync-delay", "0")
    redis = RedisServer(tmp_path / "redis", has_append_only_file=True, arguments=at_once)
    (tmp_path / "bin/pg_dump").write_text(
        SLOW_DUMP.format(answer=ANSWER, program=program("pg_dump"))
    )
    (tmp_path / "bin/pg_dump").chmod(0o755)
    slow = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    with postgres_database(postgres_url) as url, redis_running(redis):
        site = Site(tmp_path, DATABASE_URL=url, CACHE_URL=redis.url)
        site.output_of(sys.executable, "manage.py", "migrate", "--verbosity", "0")
        site.answer(*addresses(20), "flush", *addresses(20, first=20))
        backup = site.back_up(**slow)
        taken = site.run(DEPLOY / "restore.sh", backup)
        assert (taken.returncode, "the database has tables" in taken.stderr) == (1, True)
        lose(redis, url, site)
        restored = tmp_path / "restored"
        site.output_of(DEPLOY / "restore_redis.sh", backup / "cache.rdb", restored)
        redis.folder = restored
        redis.start()

        site.restore(backup)
        state = site.state()

        flushed_meanwhile = {"20.0.1.0", "20.0.1.1"}
        assert set(state.pop("rows")) == {*addresses(40), *flushed_meanwhile, *AFTER}  # type: ignore[call-overload]
        assert state == {"lost": 0, "pending": 0, "beside": 0}


def lose(redis: RedisServer, url: str, site: Site) -> None:
    redis.kill()
    shutil.rmtree(redis.folder)
    site.lose()
    with closing(psycopg.connect(url, autocommit=True)) as database:
        database.execute("DROP SCHEMA public CASCADE")
        database.execute("CREATE SCHEMA public")
