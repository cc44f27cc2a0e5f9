"""Databases that lack characters: an answer is put aside, and the flush goes on."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest

from tests.conftest import is_listening, require
from tests.faults.pairs import MARIADB_URL, PAIRS, POSTGRES_URL, scratch
from tests.support.processes import ROOT

pytestmark = [pytest.mark.any_services, pytest.mark.slow]

CITIES = ["London", "Zürich", "Łódź", "東京", "😀"]
FLUSH = f"""
import json
import django
django.setup()
from django.core.checks import run_checks
from django.core.management import call_command
from geocache.journal import writer
from geocache.journal.flush import flush_dirty
from geocache.location import load_locations
from geocache.models import GeoCache, RejectedEntry
from tests.factories import a_location
from tests.support.blocklists import imported

call_command("migrate", verbosity=0)
writer.append([a_location(f"30.0.0.{{n}}", city=city) for n, city in enumerate({CITIES})])
flushed = flush_dirty().flushed
# The last of them alone.
writer.append([a_location("30.0.1.0", city={CITIES[-1]!r})])
flushed += flush_dirty().flushed
# Lists have lines and places in any language too.
imported("30.0.2.1", "30.0.2.2", "30.0.2.3", "東京 is no address", place="/srv/東京.txt")
stored = [row.city for row in GeoCache.objects.order_by("sort_key")]
entries = RejectedEntry.objects.order_by("pk")
rejected = [load_locations(entry.record)[0].city for entry in entries]
warned = any(one.id == "geocache.W023" for one in run_checks(databases=["default"]))
found = {{"flushed": flushed, "stored": stored, "rejected": rejected, "warned": warned}}
print(json.dumps(found))
"""
# By module; each has errors of its own, for which one encoding is enough. The settings of the
# harness take PyMySQL.
MARIADB_DRIVERS: dict[str, dict[str, str]] = {
    "pymysql": {},
    "MySQLdb": {"DJANGO_SETTINGS_MODULE": "project.settings"},
}
# The name of a pair, how its database is made, and how many of the cities it can hold.
ENCODINGS = {
    "mariadb-latin1": ("redis-mariadb", "CHARACTER SET latin1", 2),
    "mariadb-utf8mb3": ("redis-mariadb", "CHARACTER SET utf8mb3", 4),
    "mariadb-utf8mb4": ("redis-mariadb", "CHARACTER SET utf8mb4", 5),
    "postgresql-latin1": (
        "redis-postgres",
        "ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
        2,
    ),
    # Takes any bytes.
    "postgresql-sql_ascii": (
        "redis-postgres",
        "ENCODING SQL_ASCII LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
        5,
    ),
}


@pytest.mark.parametrize(
    ("encoding", "driver"),
    [
        *((one, "") for one in ENCODINGS if one.startswith("postgresql")),
        *((one, "pymysql") for one in ENCODINGS if one.startswith("mariadb")),
        ("mariadb-utf8mb3", "MySQLdb"),
    ],
)
def test_flush_dirty__puts_aside_what_the_encoding_of_the_database_lacks(
    encoding: str, driver: str
) -> None:
    name, options, held_count = ENCODINGS[encoding]
    require(not driver or find_spec(driver) is not None, driver)
    is_mariadb = name == "redis-mariadb"
    url, port = (MARIADB_URL, 3306) if is_mariadb else (POSTGRES_URL, 5432)
    require(is_listening(url, port), "MariaDB" if is_mariadb else "PostgreSQL")
    pair = replace(PAIRS[name], cache_url="", create=f"CREATE DATABASE {{}} {options}")

    with scratch(pair) as variables:
        done = subprocess.run(
            [sys.executable, "-c", FLUSH],
            cwd=ROOT,
            env={**os.environ, **variables, **MARIADB_DRIVERS.get(driver, {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    assert done.returncode == 0, done.stderr
    given = [*CITIES, CITIES[-1]]
    lacking = [city for city in given if city not in CITIES[:held_count]]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "flushed": len(given) - len(lacking),
        "stored": [city for city in given if city not in lacking],
        "rejected": lacking,
        "warned": encoding != "mariadb-utf8mb4",
    }
