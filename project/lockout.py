"""Who fails too often to log in: how that is counted, and what they are told."""

from typing import Any

import structlog
from axes.handlers.cache import AxesCacheHandler
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

log = structlog.get_logger(__name__)


class LockoutHandler(AxesCacheHandler):  # type: ignore[misc]  # axes has no types
    """Count in the cache; while it is down nobody is locked out, as somebody has to mend it."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return how many attempts have failed, as far as the cache tells."""
        try:
            return int(super().get_failures(request, credentials))
        except Exception as error:  # noqa: BLE001 - each cache library has errors of its own
            log.error("login_failures_unavailable", error=str(error))
            return 0

    def user_login_failed(self, *given: Any, **named: Any) -> None:
        """Count one more, if the cache takes it."""
        try:
            super().user_login_failed(*given, **named)
        except PermissionDenied:
            raise
        except Exception as error:  # noqa: BLE001 - each cache library has errors of its own
            log.error("login_failures_unavailable", error=str(error))


def locked_out(request: HttpRequest, *_: Any) -> HttpResponse:
    """Say how long to wait, to people and to programs."""
    seconds = round(settings.AXES_COOLOFF_TIME.total_seconds())
    page = render(request, "registration/locked_out.html", {"minutes": seconds // 60}, status=429)
    page["Retry-After"] = str(seconds)
    return page
