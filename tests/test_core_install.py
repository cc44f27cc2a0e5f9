"""The wheel without any extra: what works, and what says which extra is missing."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.factories import CITY_RECORD, an_mmdb
from tests.support.installed import Site, a_site

pytestmark = pytest.mark.slow

SETTINGS = """
import json, os
INSTALLED_APPS = [*INSTALLED_APPS, "geocache"]
GEOCACHE = {"DATABASES": [BASE_DIR / "city.mmdb"], **json.loads(os.environ.get("GIVEN", "{}"))}
if "WITH_REDIS" in os.environ:
    BACKEND = "django.core.cache.backends.redis.RedisCache"
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    CACHES["geocache"] = {"BACKEND": BACKEND, "LOCATION": "redis://127.0.0.1:1"}
SILENCED_SYSTEM_CHECKS = ["geocache.W004"]
"""
URLS = """
import os
from django.urls import include
if "WITH_PAGES" in os.environ:
    urlpatterns = [*urlpatterns, path("geo/", include("geocache.urls"))]
"""
CORE = {
    "asgiref",
    "django",
    "filelock",
    "geocache",
    "maxminddb",
    "msgspec",
    "sqlparse",
    "structlog",
}
# None of these is needed to look an address up.
NOT_IMPORTED = {
    "ctypes.util",
    "filelock",
    "geocache.api",
    "geocache.bans.apply",
    "geocache.blocklists.formats",
    "geocache.charts",
    "geocache.downloads",
    "geocache.journal.flush",
    "geocache.scheduler",
    "geocache.web.frame",
    "geocache.web.log_in",
    "geocache.web.views",
}
WITHOUT_RATES = {
    "LOOKUP_RATE": None,
    "PUBLIC_LOOKUP_RATE": None,
    "PUBLIC_TOTAL_RATE": None,
    "PUBLIC_QUERY_RATE": None,
}
VISIT = """
import django, json, sys; django.setup()
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
client = Client(headers={"host": "localhost"})
client.force_login(User.objects.create_superuser("visitor"))
statuses = {}
def visit(url):
    response = client.get(url)
    statuses[url] = response.status_code
    return response.text
for model in admin.site._registry:
    if model._meta.app_label == "geocache":
        name = f"admin:geocache_{model._meta.model_name}"
        text = visit(reverse(f"{name}_changelist"))
        for row in model.objects.all()[:1]:
            visit(reverse(f"{name}_change", args=[row.pk]))
for url in sys.argv[1:]:
    visit(url)
User.objects.filter(username="visitor").delete()
print(json.dumps(statuses))
"""


@pytest.fixture(scope="module")
def site(wheel_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A plain project with the core alone, an answer in its table, and another in its journal."""
    folder = tmp_path_factory.mktemp("core")
    an_mmdb(folder / "city.mmdb", {"81.2.69.0/24": CITY_RECORD})
    made = a_site(wheel_file, folder, settings=SETTINGS, urls=URLS)
    made.output_of("migrate")
    made.output_of("lookup_geo", "81.2.69.142")
    made.output_of("flush_geo")
    made.output_of("lookup_geo", "81.2.69.143")
    return made


def given(**settings: Any) -> dict[str, str]:
    return {"GIVEN": json.dumps(settings)}


def line_of(site: Site, *arguments: str, **variables: str) -> str:
    """Return the one line that a command says on stderr when it fails."""
    done = site.manage(*arguments, **variables)
    assert done.returncode, done.stdout
    said = [line for line in done.stderr.splitlines() if "Traceback" in line or "install" in line]
    assert len(said) == 1, done.stderr
    return said[0].strip()


def test_core__installs_little(site: Site) -> None:
    listed = "import importlib.metadata as m; print(*(d.name.lower() for d in m.distributions()))"
    assert set(site.script(listed).split()) == CORE


def test_core__check_finds_nothing(site: Site) -> None:
    assert "no issues" in site.output_of("check")


def test_core__commands_work(site: Site, tmp_path: Path) -> None:
    (tmp_path / "listed.txt").write_text("81.2.69.7\n81.2.69.8\n")

    answer = json.loads(site.output_of("lookup_geo", "--json", "81.2.69.142"))
    status = json.loads(site.output_of("status_geo", "--json"))
    imported = site.output_of("import_geo", str(tmp_path / "listed.txt"))
    explained = site.output_of("status_geo", "--explain", "81.2.69.142")

    assert answer["country_code"] == "GB"
    assert status["rows"] == 1
    assert "2 added" in imported
    assert "81.2.69.142" in explained
    for command in (["refresh_geo"], ["prune_geo", "--days", "9"], ["flush_geo"]):
        site.output_of(*command)


def test_core__admin_pages_open(site: Site) -> None:
    statuses = json.loads(site.script(VISIT))
    assert len(statuses) > 8
    assert set(statuses.values()) == {200}


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["schedule_geo"], "scheduler"),
        (["update_geo"], "web"),
        (["import_geo", "https://lists.example.org/banned.txt"], "web"),
    ],
)
def test_core__a_command_names_its_extra(site: Site, command: list[str], extra: str) -> None:
    assert line_of(site, *command).rstrip(".").endswith(f'with the extra "{extra}"')


@pytest.mark.parametrize(
    "provider", ["maxmind.MaxMindProvider", "json_service.HttpJsonProvider", "chain"]
)
def test_core__a_service_as_provider_names_its_extra(site: Site, provider: str) -> None:
    backend = f"geocache.providers.http.{provider}"
    setting: dict[str, Any] = {"BACKEND": backend}
    if provider == "chain":
        member = {"BACKEND": "geocache.providers.http.maxmind.MaxMindProvider"}
        setting = {
            "BACKEND": "geocache.providers.chain.ChainProvider",
            "OPTIONS": {"providers": [member]},
        }
    for command in (["check"], ["lookup_geo", "81.2.69.142"]):
        assert 'with the extra "web"' in line_of(site, *command, **given(PROVIDER=setting))


def test_core__bans_name_their_extra(site: Site) -> None:
    action = {
        "BACKEND": "geocache.bans.nftables.NftablesAction",
        "OPTIONS": {"path": str(site.folder / "banned.nft")},
    }
    for command in (["check"], ["ban_geo"]):
        assert 'with the extra "bans"' in line_of(site, *command, **given(BAN_ACTION=action))


def test_core__pages_name_their_extra(site: Site) -> None:
    assert 'with the extra "pages"' in line_of(site, "check", WITH_PAGES="1")


def test_core__pages_without_limits_show_codes_and_no_map(site: Site) -> None:
    variables = given(**WITHOUT_RATES) | {"WITH_PAGES": "1"}
    urls = ["", "lookup/", "addresses/", "addresses/81.2.69.142/", "moves/", "lists/"]
    pages = [f"/geo/{one}" for one in urls] + ["/geo/lookup/?ip=81.2.69.142"]

    statuses = json.loads(site.script(VISIT.replace("sys.argv[1:]", repr(pages)), **variables))
    warned = site.manage("check", **variables)

    assert {statuses[page] for page in pages} == {200}
    assert warned.returncode == 0
    assert "geocache.W061" in warned.stderr


def test_core__a_cache_in_redis_names_its_extra(site: Site) -> None:
    warned = site.manage("check", WITH_REDIS="1")
    assert warned.returncode == 0
    assert re.search(r'geocache.W063.*with the extra "redis"', warned.stderr)
    assert 'with the extra "redis"' in line_of(site, "flush_geo", WITH_REDIS="1")


def test_core__lists_of_urls_are_doubted(site: Site) -> None:
    warned = site.manage("check", **given(IMPORT_SOURCES={"own": "https://lists.example.org/a"}))
    assert "geocache.W062" in warned.stderr


def test_core__a_lookup_imports_nothing_that_it_does_not_use(site: Site) -> None:
    program = (
        "import sys; sys.argv = ['manage.py', 'lookup_geo', '81.2.69.142']\n"
        "from django.core.management import execute_from_command_line as run\n"
        f"run(sys.argv); print('imported:', *sorted({NOT_IMPORTED} & sys.modules.keys()))"
    )
    assert site.script(program).splitlines()[-1] == "imported:"
