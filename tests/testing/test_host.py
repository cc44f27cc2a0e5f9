"""A project's own tests, run by its own tools: they pass, and leave the site alone."""

import subprocess
import sys

import pytest

from tests.support.host_project import PYTEST, HostProject

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    return HostProject(tmp_path_factory.mktemp("host"))


def test_manage_py_test__leaves_the_journal_of_the_site_alone(host):
    before = host.var_files()
    said = host.run("-W", "error", "manage.py", "test", "mysite")
    assert "\nOK\n" in said
    assert host.var_files() == before


def test_pytest__leaves_the_journal_of_the_site_alone(host):
    before = host.var_files()
    assert "6 passed" in host.run(*PYTEST, "mysite/pytest_tests.py", "-n", "2")
    assert host.var_files() == before


def test_pytest__without_the_plugin(host):
    before = host.var_files()
    name = "mysite/pytest_tests.py::test_lookup__without_a_database"
    assert "1 passed" in host.run(*PYTEST, "-p", "no:geocache", "-p", "no:xdist", name)
    assert host.var_files() == before


def test_tests__leave_what_waits_to_the_site(host):
    assert host.manage("flush_geo").startswith("2 flushed")


def test_plugin__imports_nothing_of_django(tmp_path):
    (tmp_path / "test_any.py").write_text(
        "import sys\n\n"
        "def test_any():\n"
        "    loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "    assert not loaded & {'django', 'msgspec', 'structlog', 'requests'}\n"
        "    loaded = {name for name in sys.modules if name.startswith('geocache.')}\n"
        "    assert loaded == {'geocache.testing', 'geocache.testing.pytest_plugin'}\n"
    )
    others = ("-p", "no:django", "-p", "no:xdist", "-p", "no:valkey", "-W", "error")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *others],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "1 passed" in done.stdout
