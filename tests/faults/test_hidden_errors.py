"""A cache that hides its errors, as django-redis does with IGNORE_EXCEPTIONS, and is down."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from geocache.cache import backends
from geocache.cache.guard import guarded
from geocache.exceptions import CacheUnavailable, FlushError, RateExceeded
from geocache.journal.flush import flush_dirty
from geocache.lookup import lookup
from geocache.models import GeoCache
from geocache.rate_limit import limiter
from geocache.status import read_status
from tests.factories import use_dummy_provider
from tests.support.cache_set_ups import with_django_redis, with_django_valkey

pytestmark = pytest.mark.django_db


@pytest.fixture(params=[with_django_redis, with_django_valkey], autouse=True)
def hidden(request: pytest.FixtureRequest, settings: Any) -> None:
    entry = request.param("redis://127.0.0.1:1/0", IGNORE_EXCEPTIONS=True)
    settings.CACHES = {**settings.CACHES, "geocache": entry}


def test_lookup__is_written_through_and_the_log_says_why(settings: Any) -> None:
    use_dummy_provider(settings)

    with capture_logs() as logs:
        assert lookup("81.2.69.142").source == "Dummy 1"

    assert GeoCache.objects.count() == 1
    (reason,) = [log["error"] for log in logs if log["event"] == "geo_cache_written_through"]
    assert "hides its errors (IGNORE_EXCEPTIONS)" in reason


def test_flush_dirty__is_a_flush_error() -> None:
    with pytest.raises(FlushError, match="hides its errors"):
        flush_dirty()


def test_incr__of_nothing_is_a_cache_that_is_down() -> None:
    with pytest.raises(CacheUnavailable, match="counted to None"), guarded():
        backends.incr(backends.current(), "a counter")


def test_spend__counts_by_itself(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "LOOKUP_RATE": "1/minute"}
    limiter.spend("LOOKUP_RATE", "a")

    with pytest.raises(RateExceeded):
        limiter.spend("LOOKUP_RATE", "a")


def test_read_status__has_no_traceback() -> None:
    assert read_status().is_journal_possible is False
