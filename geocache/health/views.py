"""``/health/live`` and ``/health/ready``: what a load balancer, Kubernetes or systemd asks."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from geocache import monitoring_access
from geocache.health import parts, report
from geocache.health.findings import find
from geocache.instants import utc_now
from geocache.status import DATABASE, Status


# Not for a form: to check one would read the body of a stranger's request.
@csrf_exempt
@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Say that this process answers. Reads nothing."""
    return _answer(request, {"status": "alive"}, HTTPStatus.OK)


@csrf_exempt
@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Say whether this process can serve, and how each part is: 200, or 503 if it cannot."""
    status, at = parts.read(), utc_now()
    # For programs: in one language.
    with translation.override("en"):
        findings = find(status, at)
    if _may_see_details(request, status):
        body = report.in_full(status, findings, at)
    else:
        body = report.for_strangers(status, findings)
    code = HTTPStatus.OK if report.is_ready(status) else HTTPStatus.SERVICE_UNAVAILABLE
    return _answer(request, body, code)


def _answer(request: HttpRequest, body: dict[str, Any], code: HTTPStatus) -> HttpResponse:
    response = JsonResponse(body, status=code)
    # Django would log each 503 as an error of the site, and mail it, probe after probe. What it has
    # logged it marks so.
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django has no public name
    if request.method == "HEAD":
        # gunicorn logs a warning for each body that it drops.
        response.headers["Content-Length"] = str(len(response.content))
        response.content = b""
    return response


def _may_see_details(request: HttpRequest, status: Status) -> bool:
    """Tell whether the state is shown in full.

    Where cache or database hang, a session in them would too: then only a program sees all.
    """
    if monitoring_access.is_from_monitoring(request):
        return True
    if status.errors.keys() & {DATABASE, "cache", "journal"}:
        return False
    try:
        return monitoring_access.has_permission(request)
    except Exception:  # noqa: BLE001 - the project's sessions may be in another database
        return False
