"""``/metrics``: what Prometheus scrapes. Any worker gives the figures of the whole site."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from geocache import monitoring_access
from geocache.exceptions import MissingExtra

TEXT = "text/plain; charset=utf-8"
REFUSED = (
    "Metrics are for monitoring: send the token of METRICS_TOKEN as Authorization: Bearer, or ask "
    "from one of METRICS_ADDRESSES.\n"
)


# Not for a form: to check one would read the body of a stranger's request.
@csrf_exempt
@never_cache
@require_safe
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Return state and counters, without writing to the database; 403 to strangers."""
    if not monitoring_access.may_see_details(request):
        return HttpResponse(REFUSED, content_type=TEXT, status=HTTPStatus.FORBIDDEN)
    try:
        render = load_renderer()
    except MissingExtra as error:
        return HttpResponse(f"{error}\n", content_type=TEXT, status=HTTPStatus.NOT_IMPLEMENTED)
    body, content_type = render(request.headers.get("Accept", ""))
    return HttpResponse(body, content_type=content_type)


def load_renderer() -> Callable[[str], tuple[bytes, str]]:
    """Return what makes the page; raise ``MissingExtra`` where that cannot be imported."""
    from geocache.metrics.page import render  # noqa: PLC0415 - it needs the extra

    return render
