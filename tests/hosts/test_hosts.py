"""The wheel in projects that were there before: each set-up is a process of its own.

What a set-up is for is said at the top of ``grown/config/setups/<name>.py``.
``python -m tests.hosts`` prints what is tested here as a table.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.hosts.installation import GROWN, Host, install, make_host
from tests.hosts.servers import a_database, running_pgbouncer, some_keys

pytestmark = pytest.mark.slow

SET_UPS = sorted(path.stem for path in (GROWN / "config/setups").glob("[a-z]*.py"))
PREFIXES = {
    "nested_namespace": ("internal/operations/geo/", "admin/"),
    "language_prefix": ("de/geo/", "de/admin/"),
}
SERVERS = {
    "pgbouncer": ("postgres_url", running_pgbouncer),
    "postgres_pool": ("postgres_url", a_database),
    "redis_cache": ("redis_url", some_keys),
    "django_redis": ("redis_url", some_keys),
}
IN_REDIS = ("redis_cache", "django_redis")
# What a project's own tests can feel: its user, databases, caches and files. Others change pages.
FELT_BY_TESTS = {
    "custom_user", "manifest_storage", "pgbouncer", "postgres_pool", "replica", "router", *IN_REDIS,
}  # fmt: skip
PAGES = {
    "dashboard", "lookup", "my_address", "addresses", "addresses_download", "address", "moves",
    "lists", "list", "import_run",
}  # fmt: skip
# Those of geocache; the admin of the host's own models is opened, too.
ADMIN_PAGES = {
    "geocache_geocache_changelist", "geocache_geocache_change", "geocache_geocache_export",
    "geocache_flushrun_changelist", "geocache_flushrun_change", "geocache_importsource_changelist",
    "geocache_importsource_change", "geocache_apitoken_changelist", "geocache_apitoken_add",
    "visits_visit_changelist",
}  # fmt: skip


@pytest.fixture(scope="session")
def python(wheel_file: Path) -> Path:
    """Return the Python of the hosts, which all workers share."""
    folder = wheel_file.parent.with_name("hosts")
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            folder.mkdir()
            install(wheel_file, folder)
    return folder / "venv/bin/python"


@pytest.fixture(scope="module", params=SET_UPS)
def host(request: Any, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp(request.param) / "host"
    servers: Any = nullcontext({})
    if request.param in SERVERS:
        url, servers_of = SERVERS[request.param]
        servers = servers_of(request.getfixturevalue(url))
    with servers as variables:
        yield make_host(request.param, python, folder, **variables)


def test_host__opens_each_page(host: Host, record_property: Callable[[str, object], None]) -> None:
    started_at = time.monotonic()
    report = host.exercise(*PREFIXES.get(host.set_up, ("geo/", "admin/")))
    pages, admin = report["pages"], report["admin"]
    record_property("pages", len(pages["answers"]))
    record_property("admin pages", len(admin["answers"]))
    record_property("seconds", round(time.monotonic() - started_at, 1))
    opened = pages["answers"] | admin["answers"]

    assert "geocache" not in report["check"], report["check"]
    assert {url: status for url, status in opened.items() if status >= 400} == {}
    assert pages["dead"] + admin["dead"] == []
    assert PAGES - set(pages["names"]) == set()
    assert ADMIN_PAGES - set(admin["names"]) == set()
    assert pages["without_attribution"] == []
    assert report["api"]["country_code"] == "GB"
    _assert_answers_are_kept(report)
    _assert_it_is_a_guest(host, report)
    if host.set_up == "nested_namespace":
        places = ("/app/internal/operations/geo/", "/app/admin/")
        # The second is the admin's link to the site, by Django.
        assert {url for url in opened if not url.startswith(places)} <= {"/app/", "/app"}
    if host.set_up == "language_prefix":
        assert pages["languages"] == ["de"]
        assert "Nachschlagen" in report["dashboard"]


def _assert_answers_are_kept(report: dict[str, Any]) -> None:
    assert [one["country_code"] for one in report["looked_up"]] == ["GB", "SE", ""]
    assert report["flushed"]["flushed"] == 3
    assert report["jobs"][0]["detail"]["flushed"] == 1
    assert report["rows"] == 4
    assert "2 added" in report["imported"]
    assert report["use_of_admin"] == ["success", "success"]


def _assert_it_is_a_guest(host: Host, report: dict[str, Any]) -> None:
    # The host's pages are the host's, and ours are ours, unless one setting says otherwise.
    assert "<title>The host</title>" in report["welcome"]
    assert "London" in report["welcome"]
    unexpected = "unframed" if host.set_up == "own_frame" else "framed"
    assert report["pages"][unexpected] == []
    # A log-in that is there, though LOGIN_URL is Django's default.
    status, location = report["stranger"]
    assert status == 302
    assert "admin/login/" in location
    assert not report["files_of_geocache"]
    assert "geo_proxy_untrusted" in host.log
    assert "Traceback" not in host.log


@pytest.mark.parametrize("host", sorted(FELT_BY_TESTS), indirect=True, scope="module")
def test_host__its_own_tests_pass(host: Host) -> None:
    host.run("manage.py", "test", "visits", "--verbosity", "0")

    assert "Traceback" not in host.log


def test_host__its_tests_for_pytest_pass(python: Path, tmp_path: Path) -> None:
    host = make_host("custom_user", python, tmp_path / "host")

    done = host.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "visits/pytest_tests.py")

    assert "2 passed" in done.stdout
