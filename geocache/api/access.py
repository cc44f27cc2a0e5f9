"""Who may use the API: users with the permission, by token or session, or everybody."""

from typing import Any, Final, NoReturn

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from geocache import conf
from geocache.api.errors import ApiError
from geocache.client_ip import network_of
from geocache.exceptions import RateExceeded
from geocache.models import ApiToken
from geocache.permissions import VIEW_ADDRESSES, missing, user_of
from geocache.rate_limit.asker import Asker, asker_of

CHALLENGE: Final = 'Bearer realm="geocache"'


class CsrfCheck(CsrfViewMiddleware):
    """Django's check, with an answer for programs."""

    def _reject(self, request: HttpRequest, reason: str) -> NoReturn:  # noqa: ARG002 - Django's
        raise ApiError("csrf_failed", f"{reason} Send X-CSRFToken with a session, or use a token.")


def admit(request: HttpRequest) -> Asker:
    """Let a request in, counted as one address, or raise ``ApiError``: 401, 403 or 429."""
    token = _token(request)
    user: Any = user_of(request) if token is None else ApiToken.holder_of(token)
    is_known = user is not None and user.is_authenticated
    # Before anything is refused: who guesses tokens is slowed down as well.
    asker = asker_of(user, network_of(request))
    asker.spend(1)
    if token is not None and user is None:
        raise _unauthorized("invalid_token", "This token is invalid or was revoked.")
    if token is None and is_known:
        # A browser sends a session by itself, also for the form of another site; never a token.
        _check_csrf(request)
    if conf.get("PUBLIC_LOOKUP") or not asker.is_visitor:
        return asker
    if is_known:
        lacking = ", ".join(missing(user, VIEW_ADDRESSES))
        raise ApiError("forbidden", f"This account lacks: {lacking}.")
    raise _unauthorized("not_authenticated", "Send Authorization: Bearer <token>.")


def _token(request: HttpRequest) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    # Another scheme is somebody else's: that of a proxy which asks for a password, for example.
    return token.strip() if scheme.lower() == "bearer" else None


def rate_exceeded(error: RateExceeded) -> ApiError:
    """Return what to tell a caller that has asked for too many addresses."""
    if not error.seconds:
        return ApiError("too_many_addresses", f"Send at most {error.amount} addresses.")
    message = f"Too many requests. Ask again in {error.seconds} seconds."
    return ApiError("too_many_requests", message, {"Retry-After": str(error.seconds)})


def _check_csrf(request: HttpRequest) -> None:
    check = CsrfCheck(_unguarded)
    check.process_request(request)
    check.process_view(request, _unguarded, (), {})


def _unguarded(_: HttpRequest) -> HttpResponse:
    return HttpResponse()


def _unauthorized(code: str, message: str) -> ApiError:
    error = f', error="{code}"' if code == "invalid_token" else ""
    return ApiError(code, message, {"WWW-Authenticate": CHALLENGE + error})
