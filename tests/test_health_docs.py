"""The examples of docs/health.md, as they stand there."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from django.test import Client

from geocache import conf
from geocache.health.report import PARTS
from geocache.management.commands.status_geo import Command
from tests.factories import use_dummy_provider
from tests.management.test_check_output import LINE
from tests.support.documented_units import assert_valid, with_systemd
from tests.support.documents import examples
from tests.support.processes import ROOT

DOCUMENT = "health.md"
PAGE = (ROOT / "docs" / DOCUMENT).read_text()


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(code, DOCUMENT, "exec"), names)
    return names


def use_urls(settings: Any, code: str) -> None:
    settings.ROOT_URLCONF = ModuleType("documented_urls")
    settings.ROOT_URLCONF.urlpatterns = run(code)["urlpatterns"]


def test_page__every_example_is_tried_here() -> None:
    assert re.findall(r"^```(\w+)$", PAGE, re.MULTILINE) == [
        *("python", "python", "json", "yaml", "haproxy", "ini", "ini", "console", "text", "python")
    ]


@pytest.mark.django_db
def test_page__addresses_alone(client: Client, settings: Any) -> None:
    use_dummy_provider(settings)
    use_urls(settings, examples(DOCUMENT, "The addresses", "python")[0])
    assert client.get("/health/ready").status_code == 200


def test_page__probes_over_plain_http(client: Client, settings: Any) -> None:
    exempt = run(examples(DOCUMENT, "The addresses", "python")[1])["SECURE_REDIRECT_EXEMPT"]
    assert exempt == settings.SECURE_REDIRECT_EXEMPT
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/live/").status_code == 200
    assert client.get("/lookup/").status_code == 301
    assert re.search(exempt[0], "geo/health/ready")
    assert not re.search(exempt[0], "health/ready/more")


@pytest.mark.django_db
def test_page__what_a_stranger_is_told(client: Client, settings: Any) -> None:
    use_dummy_provider(settings)
    (block,) = examples(DOCUMENT, "What a probe is told", "json")
    written, told = json.loads(block), client.get("/health/ready").json()
    assert written.keys() == told.keys()
    assert list(written["parts"]) == list(told["parts"]) == list(PARTS)


def test_page__names_settings_that_exist() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(\w+)` \| none \|", PAGE, re.MULTILINE)
    assert len(rows) == 2
    for name, variable in rows:
        assert not conf.DEFAULTS[name]
        assert variable in (ROOT / "project/settings.py").read_text()


def test_page__kubernetes(client: Client, settings: Any) -> None:
    probes = yaml.safe_load(examples(DOCUMENT, "Kubernetes", "yaml")[0])
    asked = {name: one["httpGet"] for name, one in probes.items()}
    assert {name: one["path"] for name, one in asked.items()} == {
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }
    settings.ALLOWED_HOSTS = ["geo.example.org"]
    (header,) = asked["livenessProbe"]["httpHeaders"]
    assert client.get("/health/live", headers={"host": header["value"]}).status_code == 200
    assert client.get("/health/live", headers={"host": "10.0.0.1"}).status_code == 400


def test_page__haproxy(tmp_path: Path) -> None:
    (block,) = examples(DOCUMENT, "Load balancers", "haproxy")
    assert "uri /health/ready ver HTTP/1.1 hdr Host geo.example.org" in block
    if shutil.which("haproxy") is None:
        pytest.skip("no haproxy here")
    times = "".join(f"  timeout {one} 1s\n" for one in ("connect", "client", "server"))
    front = "frontend web\n  bind 127.0.0.1:8080\n  default_backend geocache\n"
    (tmp_path / "haproxy.cfg").write_text(f"defaults\n  mode http\n{times}{front}{block}")
    done = subprocess.run(["haproxy", "-c", "-f", tmp_path / "haproxy.cfg"], check=False)
    assert done.returncode == 0


@with_systemd
def test_page__systemd_units_are_valid(tmp_path: Path) -> None:
    assert_valid(DOCUMENT, "geocache-check", tmp_path)


def test_page__commands_are_those_of_the_plug_in() -> None:
    (command,) = examples(DOCUMENT, "Nagios, Icinga and their like", "text")
    lines = [
        *re.findall(r"manage\.py (status_geo .*)", command),
        *re.findall(r"manage\.py (status_geo .*)", "".join(examples(DOCUMENT, "systemd", "ini"))),
    ]
    assert len(lines) == 2
    for line in lines:
        name, *arguments = shlex.split(line)
        assert Command().create_parser("manage.py", name).parse_args(arguments).is_check


def test_page__output_of_the_plug_in() -> None:
    (block,) = examples(DOCUMENT, "Nagios, Icinga and their like", "console")
    _, first, second = block.splitlines()
    assert LINE.fullmatch(first)
    assert second.startswith("WARNING: ")


@pytest.mark.django_db(transaction=True)
def test_page__django_health_check(client: Client, settings: Any) -> None:
    use_dummy_provider(settings)
    (code,) = examples(DOCUMENT, "django-health-check", "python")
    use_urls(settings, code)
    response = client.get("/ht/", {"format": "json"})
    assert response.status_code == 200
    assert set(response.json().values()) == {"OK"}
