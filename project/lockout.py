"""Who fails too often to log in: how that is counted, and what they are told."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any, Final

import structlog
from axes.handlers.cache import AxesCacheHandler
from axes.helpers import get_cache_timeout, get_client_username, make_cache_key_list
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

log = structlog.get_logger(__name__)

# Failures of all names together, from one network (an IPv4 address, or a /64), and from one /48,
# of which one subscriber has 65,536 such networks. Many people share the first in an office.
NETWORK_FAILURE_LIMIT: Final = 50
WIDE_FAILURE_LIMIT: Final = 200
WIDE_PREFIX: Final = 48


class LockoutHandler(AxesCacheHandler):  # type: ignore[misc]  # axes has no types
    """Count by name and network, in the cache, with a larger limit for a network alone.

    A network alone counts only if its address is public: any other may be a proxy, and one visitor
    behind it would lock out all. While the cache is down nobody is locked out, as somebody has to
    mend it.
    """

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return how many attempts have failed, as a share of ``AXES_FAILURE_LIMIT``."""
        limit: int = settings.AXES_FAILURE_LIMIT
        try:
            shares = [
                int(self.cache.get(key, default=0)) * limit // own_limit
                for key, own_limit in _counters(request, credentials)
            ]
        except Exception as error:  # noqa: BLE001 - each cache library has errors of its own
            log.error("login_failures_unavailable", error=str(error))
            return 0
        return max(shares)

    def user_login_failed(
        self,
        sender: Any,  # noqa: ARG002 - Django's signature
        credentials: dict[str, Any],
        request: Any = None,
        **_: Any,
    ) -> None:
        """Count one more, if the cache takes it, and lock out who has reached a limit."""
        # To try again while one has to wait does not make it longer.
        if request is None or request.axes_locked_out:
            return
        request.axes_credentials = credentials
        try:
            for key, _limit in _counters(request, credentials):
                self._count(key, get_cache_timeout(request))
        except Exception as error:  # noqa: BLE001 - each cache library has errors of its own
            log.error("login_failures_unavailable", error=str(error))
        log.warning("login_failed", network=request.axes_ip_address)
        if self.get_failures(request, credentials) >= settings.AXES_FAILURE_LIMIT:
            log.warning("login_locked_out", network=request.axes_ip_address)
            request.axes_locked_out = True

    def _count(self, key: str, seconds: int) -> None:
        if not self.cache.add(key, 1, timeout=seconds):
            self.cache.incr(key)
            self.cache.touch(key, timeout=seconds)


def _counters(request: Any, credentials: dict[str, Any] | None) -> Iterator[tuple[str, int]]:
    """Give the keys of the counters of an attempt, each with its limit."""
    network = request.axes_ip_address
    name = str(get_client_username(request, credentials) or "").casefold()
    counted = [({"username": name, "ip_address": network}, settings.AXES_FAILURE_LIMIT)]
    if network and ip_address(network).is_global:
        counted.append(({"ip_address": network}, NETWORK_FAILURE_LIMIT))
        if ":" in network:
            wide = str(ip_network((network, WIDE_PREFIX), strict=False))
            counted.append(({"ip_address": wide}, WIDE_FAILURE_LIMIT))
    for parameters, limit in counted:
        (key,) = make_cache_key_list([parameters])
        yield key, limit


def locked_out(request: HttpRequest, *_: Any) -> HttpResponse:
    """Say how long to wait, to people and to programs."""
    seconds = round(settings.AXES_COOLOFF_TIME.total_seconds())
    page = render(request, "registration/locked_out.html", {"minutes": seconds // 60}, status=429)
    page["Retry-After"] = str(seconds)
    return page
