import ast
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SET = ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "CACHE_URL", "DEBUG", "LOG_LEVEL")

pytestmark = pytest.mark.slow


def manage(tmp_path, *arguments, **variables):
    """Run ``manage.py`` from a shell in which only ``variables`` are set."""
    return python(tmp_path, "manage.py", *arguments, **variables)


def python(tmp_path, *arguments, **variables):
    """Run Python in the checkout, from a shell in which only ``variables`` are set."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in SET and not name.startswith(("GEOCACHE_", "DJANGO_"))
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**inherited, "GEOCACHE_VAR_DIR": str(tmp_path / "var"), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_refused(done, *words):
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in words), line


def test_settings__with_nothing_set_it_runs(tmp_path):
    done = manage(tmp_path, "check")
    assert done.returncode == 0, done.stderr
    assert "0 silenced" in done.stdout + done.stderr
    kept = tmp_path / "var/secret_key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    key = kept.read_text()
    manage(tmp_path, "check")
    assert kept.read_text() == key


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"DEBUG": "false"}, ["SECRET_KEY is not set"]),
        ({"DEBUG": "false", "SECRET_KEY": "x" * 50}, ["ALLOWED_HOSTS is not set"]),
        ({"DEBUG": "false", "SECRET_KEY": "x", "ALLOWED_HOSTS": " , "}, ["ALLOWED_HOSTS"]),
        ({"DEBUG": "maybe"}, ["DEBUG", "maybe"]),
        ({"GEOCACHE_PUBLIC_LOOKUP": "2"}, ["GEOCACHE_PUBLIC_LOOKUP"]),
        ({"GEOCACHE_BACKLOG_LIMIT": "many"}, ["GEOCACHE_BACKLOG_LIMIT", "many"]),
        ({"GEOCACHE_RETENTION_DAYS": "-30"}, ["GEOCACHE_RETENTION_DAYS", "-30"]),
        ({"DATABASE_URL": "oops://u:hunter2@h"}, ["DATABASE_URL"]),
        ({"CACHE_URL": "memcached://h"}, ["CACHE_URL", "redis://"]),
        ({"TIME_ZONE": "Mars/Base"}, ["TIME_ZONE", "Mars/Base"]),
        ({"LOG_LEVEL": "loud"}, ["LOG_LEVEL", "LOUD"]),
    ],
    ids=str,
)
def test_settings__nonsense_is_refused_in_one_line(tmp_path, variables, words):
    done = manage(tmp_path, "check", **variables)
    assert_refused(done, *words)
    assert "hunter2" not in done.stderr


def test_settings__no_later_line_replaces_a_setting():
    syntax = ast.parse((ROOT / "project/settings.py").read_text())
    assigned = [
        target.id
        for node in ast.walk(syntax)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    assert sorted(assigned) == sorted(set(assigned))


@pytest.mark.parametrize(
    ("url", "is_silenced"), [("mysql://root@127.0.0.1:3306/geo", True), ("sqlite:///x", False)]
)
def test_settings__missing_partial_indexes_are_silenced_for_mariadb_alone(
    tmp_path, url, is_silenced
):
    # The settings alone: to load the database would need mysqlclient, which is built from C.
    code = "from project import settings; print(*settings.SILENCED_SYSTEM_CHECKS)"
    done = python(tmp_path, "-c", code, DATABASE_URL=url)
    silenced = done.stdout.split()
    assert ("models.W037" in silenced) is is_silenced, done.stderr
    assert {"security.W005", "security.W021"} <= set(silenced)


def test_settings__a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    done = manage(tmp_path, "check", GEOCACHE_VAR_DIR=str(tmp_path / "file/var"))
    assert_refused(done, "GEOCACHE_VAR_DIR", str(tmp_path / "file/var"))


def test_settings__production_passes_the_checks_for_deployment(tmp_path, redis_url):
    done = manage(
        tmp_path,
        "check",
        "--deploy",
        "--fail-level=WARNING",
        DEBUG="false",
        SECRET_KEY="a-Long.0ne_" * 6,
        ALLOWED_HOSTS="geo.example.com",
        CACHE_URL=redis_url,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "var/secret_key").exists()


@pytest.mark.parametrize("is_chosen", [False, True])
def test_settings__hsts_binds_subdomains_only_if_that_is_chosen(tmp_path, is_chosen):
    chosen = {"HSTS_INCLUDE_SUBDOMAINS": "true", "HSTS_PRELOAD": "true"} if is_chosen else {}
    done = manage(
        tmp_path,
        "shell",
        "--no-imports",
        "-c",
        "from django.conf import settings as s;"
        "print(s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SECURE_HSTS_PRELOAD, s.SECURE_HSTS_SECONDS)",
        DEBUG="false",
        SECRET_KEY="a-Long.0ne_" * 6,
        ALLOWED_HOSTS="geo.example.com",
        **chosen,
    )
    assert done.stdout.split() == [str(is_chosen), str(is_chosen), "31536000"], done.stderr
