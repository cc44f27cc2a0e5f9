"""In a host project nothing is made before it is needed."""

from pathlib import Path

import pytest

from tests.factories import CITY_RECORD, an_mmdb
from tests.support.small_project import SmallProject

pytestmark = pytest.mark.slow

SETTINGS = """
INSTALLED_APPS.append("django_apscheduler")
GEOCACHE = {"DATABASES": [BASE_DIR / "city.mmdb"]}
"""
CODE = """
from django.core.management import call_command
call_command("check")
call_command("check", deploy=True)
try:
    call_command("makemigrations", check=True, dry_run=True)
except SystemExit:
    pass
call_command("collectstatic", verbosity=0, interactive=False)
call_command("migrate", verbosity=0)
import django.test, django.contrib.auth
user = django.contrib.auth.get_user_model().objects.create_superuser("a", "a@b.c", "x")
client = django.test.Client()
client.force_login(user)
assert client.get("/admin/").status_code == 200
assert client.get("/admin/geocache/flushrun/").status_code == 200
import geocache.lookup, geocache.middleware, geocache.journal.flush, geocache.admin
"""


def test_commands__make_no_file_of_ours(tmp_path: Path) -> None:
    host = SmallProject.make(tmp_path, SETTINGS)
    # It has to be verified, and copied, before it answers.
    an_mmdb(tmp_path / "city.mmdb", {"81.2.69.0/24": CITY_RECORD})
    done = host.python(CODE)
    assert done.returncode == 0, done.stderr
    made = {name for name in host.files() if not name.startswith("static")}
    assert made == {"city.mmdb", "db.sqlite3"}


def test_check__without_users_is_one_error_and_no_traceback(tmp_path: Path) -> None:
    host = SmallProject.make(tmp_path, 'INSTALLED_APPS = ["geocache"]\nMIDDLEWARE = []\n')
    done = host.manage("check")
    assert done.returncode == 1
    assert "(geocache.E064) geocache needs a model of users, but auth.User is not installed." in (
        done.stderr
    )
    assert "Traceback" not in done.stderr
