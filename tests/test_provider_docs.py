"""The examples of docs/providers.md that set up a service."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from geocache.providers import factory
from geocache.providers.http.json_presets import PRESETS
from geocache.providers.http.json_service import HttpJsonProvider

PAGE = (Path(__file__).resolve().parent.parent / "docs/providers.md").read_text()
ENVIRONMENT = {
    "MAXMIND_ACCOUNT_ID": "42",
    "MAXMIND_LICENSE_KEY": "key",
    "IPINFO_TOKEN": "token",
    "EXAMPLE_TOKEN": "token",
}


def examples(heading):
    section = re.split(r"^## ", PAGE.partition(f"\n## {heading}\n")[2], flags=re.MULTILINE)[0]
    return re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def run(code):
    names = {"os": SimpleNamespace(environ=ENVIRONMENT)}
    exec(compile(code, "docs/providers.md", "exec"), names)
    return names


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("MaxMind's web services", "MaxMind GeoIP insights service"),
        ("Any service that speaks JSON", "ipinfo.io"),
    ],
)
def test_docs__the_settings_of_a_provider(settings, heading, name):
    settings.GEOCACHE = {**settings.GEOCACHE, **run(examples(heading)[0])["GEOCACHE"]}
    provider = factory.current()
    assert provider.check() == []
    assert [str(source) for source in provider.sources()] == [name]


def test_docs__the_mapping_of_a_service():
    _, code = examples("Any service that speaks JSON")
    options = run(f"options = {{{code}}}")["options"]["OPTIONS"]
    provider = HttpJsonProvider(**options)
    assert provider.check() == []
    assert provider.name == "Example"


def test_docs__every_preset_has_a_row():
    assert all(f"| `{name}` |" in PAGE for name in PRESETS)
