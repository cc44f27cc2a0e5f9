from datetime import date, timedelta
from typing import Any

import pytest

from geocache.models import Ban, GeoCache
from geocache.runtime_settings.consequences import consequence
from tests.factories import NOON, a_row, use_dummy_provider
from tests.support.admin_pages import a_run
from tests.support.assertions import no_database_write
from tests.support.ban_actions import RecordingAction, use_action

pytestmark = pytest.mark.django_db


def given(settings: Any, **values: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, **values}


def test_consequence__retention_counts_what_is_deleted(settings: Any) -> None:
    a_row()
    GeoCache.objects.update(last_seen_on=date.today() - timedelta(days=50))
    with no_database_write(max_queries=1):
        said = consequence("RETENTION_DAYS", 30)
    assert said.startswith("1 address that was not requested for 30 days is deleted")
    assert consequence("RETENTION_DAYS", 60).startswith("0 addresses")
    given(settings, RETENTION_DAYS=20)
    assert consequence("RETENTION_DAYS", 30) == ""
    assert consequence("RETENTION_DAYS", 0) == ""
    assert consequence("RETENTION_DAYS", 10)


def test_consequence__bans_end_where_something_bans(settings: Any) -> None:
    assert consequence("BANS_ENABLED", False) == ""
    use_dummy_provider(settings)
    use_action(settings, RecordingAction)
    Ban.objects.create(entry="1.1.1.1", banned_at=NOON)
    assert consequence("BANS_ENABLED", False).startswith("1 ban ends within a minute")
    assert consequence("BANS_ENABLED", True) == ""


def test_consequence__public_lookup_names_its_limits(settings: Any) -> None:
    said = consequence("PUBLIC_LOOKUP", True)
    assert "120/minute; 2000/day each, 20000/day together, paid queries 100/day" in said
    assert consequence("PUBLIC_TOTAL_RATE", None) == ""
    given(settings, PUBLIC_LOOKUP=True)
    assert consequence("PUBLIC_LOOKUP", False) == ""
    assert "not limited" in consequence("PUBLIC_TOTAL_RATE", None)


def test_consequence__others() -> None:
    assert consequence("HISTORY_DAYS", 10) == ""
    a_run()
    assert "older than 10 days" in consequence("HISTORY_DAYS", 10)
    assert consequence("HISTORY_DAYS", 40) == ""
    assert "as wide as /0" in consequence("BAN_WIDEST_IPV4", 0)
    assert consequence("BAN_WIDEST_IPV4", 16) == ""
    assert "all of IPv4" in consequence("NEVER_BAN", ["0.0.0.0/1", "128.0.0.0/1", "2001:db8::1"])
    assert "all of IPv6" in consequence("NEVER_BAN", ["192.0.2.1", "::/0"])
    assert consequence("NEVER_BAN", ["192.0.2.1", "2001:db8::/32"]) == ""
    assert consequence("TTL_SECONDS", 5) == ""
    assert consequence("RETENTION_DAYS", "x") == ""
