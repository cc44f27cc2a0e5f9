import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from geocache.exceptions import UpdateBusy
from geocache.locks.file_lock import exclusive_lock
from geocache.management.commands.update_geo import Bars
from tests.factories import a_row
from tests.support.commands import run
from tests.support.database_server import Service, a_database, serving

pytestmark = pytest.mark.django_db


@pytest.fixture
def service(tmp_path: Path, settings: Any) -> Any:
    with serving() as running:
        urls = [f"{running.url}/city.mmdb"]
        settings.GEOCACHE = {**settings.GEOCACHE, "VAR_DIR": tmp_path, "UPDATE_URLS": urls}
        yield running


def updated(*arguments: str) -> tuple[str, str, int]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("update_geo", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return out.getvalue(), err.getvalue(), int(str(end.code))
    return out.getvalue(), err.getvalue(), 0


MOVED = "0 of 0 known addresses moved.\n"
# Of the record that the tests give.
FIELDS = [
    "country_code",
    "region",
    "city",
    "postal_code",
    "latitude",
    "longitude",
    "accuracy_radius_km",
    "time_zone",
    "continent_code",
    "region_code",
]


def test_update_geo__says_what_came_and_then_that_it_is_the_newest(
    service: Service, tmp_path: Path
) -> None:
    service.put("/city.mmdb", a_database(tmp_path))
    assert updated() == (
        f"city: GeoLite2-City 2025-06-15 is in use now. Its fields: {', '.join(FIELDS)}.\n{MOVED}",
        "",
        0,
    )
    assert updated()[0] == "city: GeoLite2-City 2025-06-15 is the newest there is.\n"


def test_update_geo__json(service: Service, tmp_path: Path) -> None:
    a_row(country_code="AQ")
    service.put("/city.mmdb", a_database(tmp_path))
    out, _, _ = updated("--json")
    detail = "GeoLite2-City 2025-06-15"
    assert json.loads(out) == {
        "databases": [{"name": "city", "status": "installed", "detail": detail, "fields": FIELDS}],
        "moves": {
            "compared": 1,
            "moved": 1,
            "is_complete": True,
            "by_kind": {"country": 1, "city": 1},
        },
    }
    assert json.loads(updated("--json")[0])["moves"] is None


@pytest.mark.usefixtures("service")
def test_update_geo__failure_is_one_line_and_1() -> None:
    out, err, code = updated()
    assert (out, code) == ("", 1)
    assert err == ("city was not fetched: 127.0.0.1 has no such database (404); check its name.\n")
    out, _, code = updated("--json")
    assert (json.loads(out)["databases"][0]["status"], code) == ("failed", 1)


def test_update_geo__asks_again_only_by_force(service: Service) -> None:
    for _ in range(4):
        updated()
    service.asked.clear()
    assert "or with --force" in updated()[1]
    assert service.asked == []
    updated("--force")
    assert service.asked


@pytest.mark.usefixtures("service")
def test_update_geo__another_one_at_work_is_75(tmp_path: Path) -> None:
    with (
        exclusive_lock(tmp_path / "databases/.lock", busy=UpdateBusy("held")),
        pytest.raises(CommandError, match="another update is at work") as raised,
    ):
        updated()
    assert raised.value.returncode == 75


def test_update_geo__says_when_what_comes_is_not_used(service: Service, settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": ["/srv/other.mmdb"]}
    assert "is not used until that changes" in updated()[1]
    assert service.asked


def test_bars__one_for_each_database() -> None:
    bars = Bars()
    bars.show("a", 10, 20)
    first = bars.bar
    bars.show("a", 20, 20)
    assert bars.bar is first
    bars.show("b", 5, None)
    assert bars.bar is not first
    bars.close()


@pytest.mark.slow
def test_update_geo__folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "databases").write_text("a file")
    done = run(tmp_path, "update_geo", GEOCACHE_UPDATE_URLS="http://127.0.0.1:1/city.mmdb")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
