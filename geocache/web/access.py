"""Who may see a page: staff, and for the look-up everybody where the project says so."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect

from geocache import conf

View = Callable[..., HttpResponseBase]


def staff_only(view: View) -> View:
    """Ask strangers to log in, and refuse those who are not staff."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not request.user.is_staff:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def staff_or_lookup(view: View) -> View:
    """Let staff in; send others to the look-up where that is open to everybody."""
    for_staff = staff_only(view)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if conf.get("PUBLIC_LOOKUP") and not request.user.is_staff:
            return redirect("geocache:lookup")
        return for_staff(request, *args, **kwargs)

    return guarded


def staff_unless_public(view: View) -> View:
    """Let everybody in where ``PUBLIC_LOOKUP`` is on, else staff only."""
    for_staff = staff_only(view)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return (view if conf.get("PUBLIC_LOOKUP") else for_staff)(request, *args, **kwargs)

    return guarded
