"""Where a project has included the pages and the API: the only maker of links to them.

Names such as ``geocache:dashboard`` work in a project that includes the pages at the top of its own
addresses. Below a namespace of the project, and where they are included twice, they do not: so the
namespaces are those of the request, and elsewhere those that are found in the URL configuration.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, wraps
from typing import Any, Final

from django.http import HttpRequest, HttpResponseBase
from django.urls import (
    NoReverseMatch,
    URLPattern,
    URLResolver,
    get_resolver,
    get_urlconf,
    path,
    reverse,
)

PAGES: Final = "geocache"
# The API where it is included by itself.
API: Final = "geocache_api"
# The probes where they are included by themselves.
HEALTH: Final = "geocache_health"
# The metrics where they are included by themselves.
METRICS: Final = "geocache_metrics"

View = Callable[..., HttpResponseBase]
Namespaces = tuple[str, ...]


def endpoint(route: str, view: View, name: str | None = None) -> URLPattern:
    """Return the address of a view that is given what ``route`` captures, and nothing else.

    A project's prefix may capture more, or hand on values of its own. The view itself decides who
    may see it: Django's ``LoginRequiredMiddleware`` leaves it alone.
    """
    names = frozenset(path(route, view).pattern.converters)

    @wraps(view)
    def called(request: HttpRequest, *_: Any, **captured: Any) -> HttpResponseBase:
        return view(request, **{one: captured[one] for one in names & captured.keys()})

    called.captured_names = names  # type: ignore[attr-defined]  # for _outer_parameters
    called.login_required = False  # type: ignore[attr-defined]  # for LoginRequiredMiddleware
    return path(route, called, name=name)


def page_url(name: str, request: HttpRequest | None = None, **parameters: Any) -> str:
    """Return the address of a page, or the empty text where the project does not include them.

    That of ``request``, when this is a request for one of them.
    """
    return _url_of(PAGES, name, request, parameters)


def api_url(name: str, request: HttpRequest | None = None, **parameters: Any) -> str:
    """Return an address of the API: of the one that is included by itself, else of the pages'."""
    return _url_of(API, name, request, parameters) or page_url(name, request, **parameters)


def is_included(*app_names: str) -> bool:
    """Tell whether the project includes one of the apps, wherever; for the checks.

    Django's own checks say what of the project's URLs cannot be read.
    """
    try:
        resolver = get_resolver()
        return any(_mounts(resolver, one) for one in app_names)
    except Exception:  # noqa: BLE001 - a URL configuration may fail in any way when it is imported
        return False


def _url_of(
    app_name: str, name: str, request: HttpRequest | None, parameters: dict[str, Any]
) -> str:
    mounts = _mounts(get_resolver(get_urlconf()), app_name)
    own = _mount_of(request, mounts)
    if own is not None:
        tried = [(own, _outer_parameters(request)), *((one, {}) for one in mounts)]
    else:
        tried = [(one, {}) for one in mounts]
    for namespaces, outer in tried:
        try:
            return reverse(":".join((*namespaces, name)), kwargs=outer | parameters)
        except NoReverseMatch:
            # Its prefix captures something that only a request for it tells.
            continue
    return ""


def _mount_of(request: HttpRequest | None, mounts: tuple[Namespaces, ...]) -> Namespaces | None:
    """Return the namespaces of the mount that a request is for, or None."""
    match = getattr(request, "resolver_match", None)
    if match is None:
        return None
    asked = tuple(match.namespaces)
    around = (one for one in mounts if asked[: len(one)] == one)
    return max(around, key=len, default=None)


def _outer_parameters(request: Any) -> dict[str, Any]:
    """Return what the project's prefix has captured from the address of a request."""
    match = request.resolver_match
    own: frozenset[str] = getattr(match.func, "captured_names", frozenset())
    left_out = own | match.extra_kwargs.keys()
    return {name: value for name, value in match.kwargs.items() if name not in left_out}


# The resolver of a URL configuration lives as long as that is in use.
@lru_cache(maxsize=32)
def _mounts(resolver: URLResolver, app_name: str) -> tuple[Namespaces, ...]:
    """Return the namespaces of each place where an app is included, the outermost first."""
    return tuple(dict.fromkeys(_walk(resolver, app_name, (), ())))


def _walk(
    resolver: URLResolver, app_name: str, namespaces: Namespaces, above: tuple[int, ...]
) -> Iterator[Namespaces]:
    patterns = resolver.url_patterns
    if id(patterns) in above:
        # A URL configuration may include itself.
        return
    for one in patterns:
        if not isinstance(one, URLResolver):
            continue
        inner = (*namespaces, one.namespace) if one.namespace else namespaces
        if one.app_name == app_name:
            yield inner
        yield from _walk(one, app_name, inner, (*above, id(patterns)))
