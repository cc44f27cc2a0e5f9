"""Two databases and a router: what is written goes to one of them, and is read there."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connections

from geocache.models.connection import database_id, writing_alias, writing_connection
from tests.support.processes import ROOT

pytestmark = pytest.mark.slow

EXPECTED = {
    "problem": "",
    "flushed": [4, 0, 0, 0],
    "head": True,
    "left_by_failed_import": 0,
    "imports": [["applied", 2, 0], ["unchanged", 0, 0]],
    "resumed": 1,
    "runs": 2,
    "banned": ["8.8.8.8", "9.9.9.9"],
    "counted": 6,
    "due": ["1.1.1.1", "8.8.8.8"],
    "pruned": 1,
    "forgotten": 1,
    "left": ["1.1.1.1", "81.2.69.142"],
    "leased": [True, False],
    "flush_runs": True,
    "history": 0,
    "tokens": 0,
}


@pytest.fixture(params=["sqlite", "postgresql"])
def two_databases(request: Any, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables that name two new databases."""
    name = f"geocache_{uuid.uuid4().hex[:12]}"
    if request.param == "sqlite":
        one, other = (str(tmp_path / f"{name}-{number}.sqlite3") for number in (1, 2))
        yield {"DATABASE_URL": f"sqlite:///{one}", "GEOCACHE_TEST_ROUTED_NAME": other}
        return
    server = request.getfixturevalue("postgres_url")
    names = (f"{name}_1", f"{name}_2")
    with psycopg.connect(server, autocommit=True) as connection:
        for one in names:
            connection.execute(f"CREATE DATABASE {one}")
        url = urlsplit(server)._replace(path=f"/{names[0]}").geturl()
        yield {"DATABASE_URL": url, "GEOCACHE_TEST_ROUTED_NAME": names[1]}
        for one in names:
            connection.execute(f"DROP DATABASE {one} WITH (FORCE)")


def run(databases: dict[str, str], routed_to: str) -> dict[str, Any]:
    variables = {**databases, "GEOCACHE_TEST_ROUTED_TO": routed_to, "CACHE_URL": ""}
    done = subprocess.run(
        [sys.executable, "-m", "tests.routed_run"],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["unmigrated"].endswith(f"run manage.py migrate --database {routed_to}")
    return found


def test_router__to_a_database_of_its_own_writes_and_locks_there(
    two_databases: dict[str, str],
) -> None:
    found = run(two_databases, "geo")

    assert {name: found[name] for name in EXPECTED} == EXPECTED
    # The tokens stay with the users.
    assert found["tables"] == {"default": 1, "geo": found["models"] - 1}


def test_router__with_a_replica_reads_what_it_changes_where_it_writes(
    two_databases: dict[str, str],
) -> None:
    found = run(two_databases, "replica")

    assert {name: found[name] for name in EXPECTED} == EXPECTED


def test_writing_alias__is_the_default_without_a_router() -> None:
    assert writing_alias() == "default"


@pytest.mark.parametrize("name", ["geo data.sqlite3", "file:{}/geo%20data.sqlite3?mode=rw"])
def test_database_id__does_not_depend_on_the_current_folder_and_the_form_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if writing_connection().vendor != "sqlite":
        pytest.skip("names are not paths")
    database = connections.settings[writing_alias()]
    monkeypatch.setitem(database, "NAME", str(tmp_path / "geo data.sqlite3"))
    expected = database_id()
    monkeypatch.chdir(tmp_path)

    monkeypatch.setitem(database, "NAME", name.format(tmp_path))

    assert database_id() == expected
