import json
from pathlib import Path

import pytest

from tests.support.installed import a_site

SETTINGS = """
MIDDLEWARE = [*MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
INSTALLED_APPS = [*INSTALLED_APPS, "geocache"]
"""
URLS = """
from django.urls import include
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


@pytest.mark.slow
def test_wheel__works_in_an_empty_django_project(wheel_file: Path, tmp_path: Path) -> None:
    site = a_site(wheel_file, tmp_path, "pages", "sample", settings=SETTINGS, urls=URLS)

    site.output_of("migrate")
    answer = site.output_of("lookup_geo", "--json", "81.2.69.142")
    flushed = site.output_of("flush_geo", "--json")
    page = site.script(VISIT)

    assert json.loads(answer)["country_code"] == "GB"
    assert json.loads(flushed)["flushed"] == 1
    assert page.split() == ["200", "True", "True"]
    # What the embedded default writes is in one folder of that project.
    assert (tmp_path / "var" / "cache").is_dir()
