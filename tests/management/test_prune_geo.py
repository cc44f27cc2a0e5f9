import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from geocache.maintenance import prune
from geocache.models import GeoCache
from tests.factories import a_row, many_locations, use_dummy_provider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def rows(settings: Any) -> None:
    """Three that nobody has asked for in 400 days, and one of today."""
    use_dummy_provider(settings)
    now = datetime.now(UTC)
    GeoCache.objects.upsert(many_locations(3, resolved_at=now - timedelta(days=400)))
    a_row(resolved_at=now)


def pruned(*arguments: str) -> str:
    out = io.StringIO()
    call_command("prune_geo", *arguments, stdout=out)
    return out.getvalue()


def test_prune_geo__says_what_it_did_in_one_line() -> None:
    assert pruned("--days", "365").startswith("3 pruned, in ")
    assert GeoCache.objects.count() == 1


def test_prune_geo__takes_the_days_of_the_setting(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "RETENTION_DAYS": 500}
    assert json.loads(pruned("--json"))["pruned"] == 0
    settings.GEOCACHE = {**settings.GEOCACHE, "RETENTION_DAYS": 399}
    figures = json.loads(pruned("--json"))
    assert figures.pop("seconds") >= 0
    assert figures == {"pruned": 3, "is_complete": True}


def test_prune_geo__dry_run_only_counts() -> None:
    said = pruned("--days", "365", "--dry-run")
    assert said == "3 would be pruned: nobody has asked for them in 365 days.\n"
    assert json.loads(pruned("--days", "365", "--dry-run", "--json")) == {"would_prune": 3}
    assert GeoCache.objects.count() == 4


def test_prune_geo__rows_are_kept_for_ever_unless_somebody_says_for_how_long() -> None:
    with pytest.raises(CommandError, match=r"^Say with --days N, or set RETENTION_DAYS"):
        pruned()
    assert GeoCache.objects.count() == 4


def test_prune_geo__licence_says_what_would_go_and_then_removes_it() -> None:
    old = "GeoLite2-City 2026-01-01"
    GeoCache.objects.upsert(many_locations(2, resolved_at=datetime.now(UTC), source=old))
    counts = json.loads(pruned("--licence", "--dry-run", "--json"))
    assert counts == {
        "would_refresh_or_remove": 2,
        "would_remove_history": 0,
        "would_remove_rejected": 0,
        "would_remove_files": 0,
    }
    assert pruned("--licence", "--dry-run").startswith("2 rows would be refreshed, or removed")
    assert GeoCache.objects.filter(source=old).count() == 2
    assert pruned("--licence").startswith("2 rows refreshed, 0 removed; 2 history entries")
    assert not GeoCache.objects.filter(source=old).exists()
    assert json.loads(pruned("--licence", "--json"))["is_complete"] is True


def test_prune_geo__licence_has_its_own_days() -> None:
    with pytest.raises(CommandError, match=r"^--days does not go with --licence"):
        pruned("--licence", "--days", "3")


def test_prune_geo__time_limit_that_leaves_some_is_75(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "BATCH_ROWS", 1)
    with pytest.raises(CommandError, match="run it again") as raised:
        pruned("--days", "365", "--time-limit", "1e-9")
    assert raised.value.returncode == 75
    assert GeoCache.objects.count() == 4


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "36526", "9" * 5000])
def test_prune_geo__refuses_days(text: str) -> None:
    with pytest.raises(CommandError, match="is not a number of days from 1 to 36525"):
        call_command("prune_geo", f"--days={text}")


def test_prune_geo__wrong_setting_is_one_line(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "RETENTION_DAYS": "often"}
    with pytest.raises(CommandError, match=r"^GEOCACHE has RETENTION_DAYS 'often'; use a whole"):
        pruned()


def test_prune_geo__cache_that_is_away_is_one_line(settings: Any) -> None:
    locmem = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {**settings.CACHES, "geocache": locmem}
    with pytest.raises(CommandError, match=r"^LocMemCache cannot hold the journal"):
        pruned("--days", "365")
    assert GeoCache.objects.count() == 4
