"""What somebody is told who failed too often to log in."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def locked_out(request: HttpRequest, *_: Any) -> HttpResponse:
    """Say how long to wait, to people and to programs."""
    seconds = round(settings.AXES_COOLOFF_TIME.total_seconds())
    page = render(request, "registration/locked_out.html", {"minutes": seconds // 60}, status=429)
    page["Retry-After"] = str(seconds)
    return page
