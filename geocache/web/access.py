"""Who may see a page: users with its permission; the look-up also others, if a project says so."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from geocache import conf
from geocache.labels import labelled
from geocache.location import Location
from geocache.mounts import page_url
from geocache.permissions import VIEW_ADDRESSES, VIEW_LISTED, VIEW_LISTS, missing, user_of
from geocache.web.log_in import ask_to_log_in

View = Callable[..., HttpResponseBase]


def permission_required(*permissions: str) -> Callable[[View], View]:
    """Ask strangers to log in, and refuse those who lack one of these permissions.

    Django's own decorator does not say what is missing, and needs a ``LOGIN_URL``.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            user = user_of(request)
            if user is None or not user.is_authenticated:
                return ask_to_log_in(request)
            if lacking := missing(user, *permissions):
                said = _("Your account lacks: %(names)s.")
                raise PermissionDenied(said % {"names": ", ".join(lacking)})
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def permitted_or_lookup(view: View) -> View:
    """Show who may see addresses the page; send others to the look-up where that is public."""
    for_permitted = permission_required(VIEW_ADDRESSES)(view)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if conf.get("PUBLIC_LOOKUP") and missing(user_of(request), VIEW_ADDRESSES):
            return redirect(page_url("lookup", request))
        return for_permitted(request, *args, **kwargs)

    return guarded


def permitted_unless_public(view: View) -> View:
    """Let everyone in where ``PUBLIC_LOOKUP`` is on, else those who may see addresses."""
    for_permitted = permission_required(VIEW_ADDRESSES)(view)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return (view if conf.get("PUBLIC_LOOKUP") else for_permitted)(request, *args, **kwargs)

    return guarded


def permitted_labels(request: HttpRequest, answers: list[Location]) -> list[Location]:
    """Return the answers with the labels of the lists that they are on, for those who see lists."""
    return answers if missing(user_of(request), VIEW_LISTS, VIEW_LISTED) else labelled(answers)
