"""A Redis client of the test's own: Django offers no public way to the one that its cache uses."""

from typing import Any

from django.conf import settings
from redis import Redis

from geocache import conf


def redis_client() -> Any:
    """Return a client on the server and database of geocache's cache; close it after use."""
    return Redis.from_url(settings.CACHES[conf.get("CACHE_ALIAS")]["LOCATION"])
