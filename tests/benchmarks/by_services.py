"""Bars that differ from service to service."""

from geocache.cache import backends
from geocache.cache.embedded import EmbeddedCache


def by_cache(embedded: float, server: float) -> float:
    """Return the bar of the embedded cache, or of one that is a server."""
    return embedded if isinstance(backends.current(), EmbeddedCache) else server
