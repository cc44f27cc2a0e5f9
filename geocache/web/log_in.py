"""Where somebody logs in: as the project says, else in its admin."""

from typing import Final
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve, reverse
from django.utils.translation import get_language

from geocache import conf
from geocache.web.frame import render_page

# Django's own LOGIN_URL, which stands for nothing in a project that has not set it.
UNSET: Final = "/accounts/login/"
REFUSED: Final = 403


def log_in_url() -> str:
    """Return the path or URL to log in at, or the empty text where there is none.

    A path that the project has chosen is believed: another program may answer it.
    """
    url, is_found = _project_url()
    if is_found or (url and url != UNSET):
        return url
    return _reversed("admin:login")


def log_out_url() -> str:
    """Return the path to log out at, or the empty text where there is none."""
    return _reversed("logout") or _reversed("admin:logout")


def ask_to_log_in(request: HttpRequest) -> HttpResponse:
    """Send somebody to where one logs in, and back; without such a place, say what to set."""
    url = log_in_url()
    if not url:
        return render_page(request, "geocache/no_log_in.html", {}, status=REFUSED)
    # Another host is given the whole address to come back to, as by Django's own decorator.
    is_here = not urlsplit(url).netloc
    back = request.get_full_path() if is_here else request.build_absolute_uri()
    # Without a model of users it cannot be imported, and the checks say so.
    from django.contrib.auth.views import redirect_to_login  # noqa: PLC0415 - see above

    return redirect_to_login(back, url)


def problem() -> str:
    """Return why nobody can be sent to log in, or the empty text."""
    _, is_found = _project_url()
    if is_found or _reversed("admin:login"):
        return ""
    return f"LOGIN_URL is {conf.log_in_url()}, which no address of the project answers"


def _project_url() -> tuple[str, bool]:
    """Return where ``LOGIN_URL`` leads, and whether something is known to be there.

    It may be the name of an address, a path, or a URL.
    """
    setting = conf.log_in_url()
    if named := _reversed(setting):
        return named, True
    parts = urlsplit(setting)
    if parts.netloc:
        return setting, True
    if "/" not in setting:
        return "", False
    return setting, any(map(_is_answered, _paths(parts.path)))


def _paths(path: str) -> list[str]:
    """Return what a path is to the URL configuration: the language is put before it by Django."""
    prefix = get_script_prefix()
    inside = "/" + path.removeprefix(prefix) if path.startswith(prefix) else path
    return [inside, f"/{get_language()}{inside}"]


def _is_answered(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


def _reversed(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
