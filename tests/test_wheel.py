import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import require
from tests.support.processes import ROOT

SETTINGS = """
from site_.settings_base import *
MIDDLEWARE = [*MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
INSTALLED_APPS = [*INSTALLED_APPS, "geocache"]
ROOT_URLCONF = "site_.urls_geo"
"""
URLS = """
from django.urls import include, path
from site_.urls import urlpatterns
urlpatterns = [*urlpatterns, path("geo/", include("geocache.urls"))]
"""
VISIT = """
import django; django.setup()
from django.contrib.auth.models import User
from django.test import Client
client = Client()
client.force_login(User.objects.create_superuser("admin"))
page = client.get("/geo/lookup/", {"ip": "81.2.69.142"}, headers={"host": "localhost"})
print(page.status_code, "GB" in page.text or "United Kingdom" in page.text)
german = client.get("/geo/lookup/", headers={"host": "localhost", "accept-language": "de"})
print("Nachschlagen" in german.text)
"""


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "GEOCACHE_"))}
    for name in ("VIRTUAL_ENV", "DATABASE_URL", "CACHE_URL", "PYTHONPATH"):
        kept.pop(name, None)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_wheel__works_in_an_empty_django_project(tmp_path: Path) -> None:
    uv = shutil.which("uv")
    require(uv is not None, "uv")
    assert uv is not None
    run(uv, "build", "-q", "--wheel", "--out-dir", tmp_path / "dist", cwd=ROOT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    run(uv, "venv", "-q", "--python", sys.executable, "venv", cwd=tmp_path)
    python = tmp_path / "venv/bin/python"
    run(uv, "pip", "install", "-q", "--python", python, wheel, cwd=tmp_path)
    run(python, "-m", "django", "startproject", "site_", tmp_path, cwd=tmp_path)
    project = tmp_path / "site_"
    (project / "settings.py").rename(project / "settings_base.py")
    (project / "settings.py").write_text(SETTINGS)
    (project / "urls_geo.py").write_text(URLS)

    run(python, "manage.py", "migrate", cwd=tmp_path)
    answer = run(python, "manage.py", "lookup_geo", "--json", "81.2.69.142", cwd=tmp_path)
    flushed = run(python, "manage.py", "flush_geo", "--json", cwd=tmp_path)
    page = run(python, "-c", VISIT, cwd=tmp_path, DJANGO_SETTINGS_MODULE="site_.settings")

    assert json.loads(answer)["country_code"] == "GB"
    assert json.loads(flushed)["flushed"] == 1
    assert page.split() == ["200", "True", "True"]
    # What the embedded default writes is in one folder of that project.
    assert (tmp_path / "var" / "cache").is_dir()
