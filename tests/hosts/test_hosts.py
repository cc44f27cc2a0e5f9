"""The wheel in projects that were there before: each set-up is a process of its own.

What a set-up is for is said at the top of ``grown/config/setups/<name>.py``.
"""

from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.hosts.installation import GROWN, Host, install, make_host
from tests.hosts.pgbouncer import running_pgbouncer

pytestmark = pytest.mark.slow

SET_UPS = sorted(path.stem for path in (GROWN / "config/setups").glob("[a-z]*.py"))
PREFIXES = {
    "nested_namespace": ("internal/operations/geo/", "admin/"),
    "language_prefix": ("de/geo/", "de/admin/"),
}


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return the Python of the hosts, which all workers share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "hosts"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            folder.mkdir()
            return install(folder)
    return folder / "venv/bin/python"


@pytest.fixture(scope="module", params=SET_UPS)
def host(request: Any, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(request.param) / "host"
    if request.param == "pgbouncer":
        with running_pgbouncer() as variables:
            yield make_host(request.param, python, folder, **variables)
    else:
        yield make_host(request.param, python, folder)


def test_host__looks_up_flushes_and_opens_each_page(host: Host) -> None:
    report = host.exercise(*PREFIXES.get(host.set_up, ("geo/", "admin/")))
    failed = {
        url: status for url, status in (report["pages"] | report["admin"]).items() if status >= 400
    }

    assert "geocache" not in report["check"], report["check"]
    assert [one["country_code"] for one in report["looked_up"]] == ["GB", "SE", ""]
    assert report["flushed"]["flushed"] == report["rows"] == 3
    assert not failed
    assert len(report["pages"]) > 15
    assert len(report["admin"]) > 15
    assert not report["dead_links"] + report["dead_admin_links"]
    # The host's pages are the host's, and ours are ours, unless one setting says otherwise.
    assert "<title>The host</title>" in report["welcome"]
    assert "London" in report["welcome"]
    assert any(report["frames"].values()) == (host.set_up == "own_frame")
    # A log-in that is there, though LOGIN_URL is Django's default.
    status, location = report["stranger"]
    assert status == 302
    assert "admin/login/" in location
    assert (host.folder / "var").is_dir()


def test_host__its_own_tests_pass(host: Host) -> None:
    host.run_own_tests()

    assert "Traceback" not in host.log
