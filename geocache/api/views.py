"""Answers for programs, in JSON. Its texts are for developers, and not translated."""

import json
from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import Any, Final

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import conditional_page

from geocache.addresses import normalise
from geocache.api.access import ApiError, admit, rate_exceeded
from geocache.exceptions import InvalidAddress, RateExceeded
from geocache.history.spans import answer_on, parse_day
from geocache.lookup import lookup, lookup_many
from geocache.models.connection import DATABASE_ERRORS, drop_broken_connection
from geocache.rate_limit.asker import Asker

MAX_ADDRESSES: Final = 1_000
# A thousand of the longest addresses, each with spaces and an escape or two.
MAX_BODY_BYTES: Final = 250_000
# Django refuses it while it is read: the link, or a form whose token a check looked for.
UNREADABLE: Final = "The request is damaged, or has too many parameters."
# After how long to ask again when the database is away.
RETRY_SECONDS: Final = 10
# Days that exist in every time zone.
FIRST_DAY: Final = date(1970, 1, 2)
LAST_DAY: Final = date(2999, 12, 31)

log = structlog.get_logger(__name__)

View = Callable[..., HttpResponse]


def api_view(*methods: str) -> Callable[[View], View]:
    """Let in who may, answer errors in JSON, and let a client ask whether an answer has changed."""

    def decorate(view: View) -> View:
        @csrf_exempt  # ``admit`` checks it where it counts, for sessions
        @conditional_page
        @wraps(view)
        def guarded(request: HttpRequest, **arguments: Any) -> HttpResponse:
            try:
                if request.method not in methods:
                    raise _not_allowed(methods)
                _refuse_large(request)
                response = view(request, admit(request), **arguments)
            except RateExceeded as error:
                response = rate_exceeded(error).to_response()
            except ApiError as error:
                response = error.to_response()
            except (SuspiciousOperation, MultiPartParserError):
                response = ApiError(400, "bad_request", UNREADABLE).to_response()
            except DATABASE_ERRORS as error:
                drop_broken_connection()
                response = _database_away(error).to_response()
            patch_cache_control(response, private=True, no_cache=True)
            patch_vary_headers(response, ["Authorization", "Cookie"])
            return response

        return guarded

    return decorate


@api_view("GET", "HEAD")
def lookup_one(request: HttpRequest, asker: Asker, address: str) -> HttpResponse:
    """Answer one address; with ``?on=``, as it was known on a day."""
    try:
        if "on" in request.GET:
            return _lookup_on(normalise(address), _day(request.GET.getlist("on")))
        asker.spend_queries([address])
        return JsonResponse(lookup(address).to_plain())
    except InvalidAddress as error:
        raise _invalid(error) from error


@api_view("POST")
def lookup_several(request: HttpRequest, asker: Asker) -> HttpResponse:
    """Answer many addresses in their order; for what is not an address, an error stands there."""
    addresses = _addresses(request)
    asker.spend(len(addresses), spent=1)
    errors: dict[str, ApiError] = {}
    for text in addresses:
        try:
            normalise(text)
        except InvalidAddress as error:
            errors[text] = _invalid(error)
    valid = [text for text in addresses if text not in errors]
    asker.spend_queries(valid)
    answers = lookup_many(valid)
    results = [
        {"address": text, "error": errors[text].to_plain()}
        if text in errors
        else answers[text].to_plain()
        for text in addresses
    ]
    return JsonResponse({"results": results})


@csrf_exempt
def nothing_here(request: HttpRequest, path: str = "") -> HttpResponse:  # noqa: ARG001 - Django's
    """Answer what the API does not have."""
    message = "There is nothing here. Try GET api/lookup/<address> or POST api/lookup."
    return ApiError(404, "not_found", message).to_response()


def _lookup_on(address: str, day: date) -> HttpResponse:
    span = answer_on(address, day)
    if span is None:
        raise ApiError(404, "not_known_then", f"Nothing was known about {address} on {day}.")
    return JsonResponse(span.to_plain() | {"on": day.isoformat()})


def _day(given: list[str]) -> date:
    try:
        (text,) = given
        day = parse_day(text)
        if not FIRST_DAY <= day <= LAST_DAY:
            raise ValueError
    except ValueError as error:
        raise ApiError(400, "invalid_day", "Give one day as on=2026-01-31.") from error
    return day


def _addresses(request: HttpRequest) -> list[str]:
    """Return the addresses in the body of a request; raise ``ApiError``."""
    if request.content_type != "application/json":
        message = "Send a body of the type application/json."
        raise ApiError(415, "unsupported_media_type", message, {"Accept": "application/json"})
    try:
        given = json.loads(_body(request))
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "invalid_json", f"The body is not JSON: {error}.") from error
    addresses = given.get("addresses") if isinstance(given, dict) else None
    if not isinstance(addresses, list) or not all(isinstance(one, str) for one in addresses):
        message = 'Send {"addresses": [...]} with the addresses as texts.'
        raise ApiError(400, "invalid_body", message)
    if len(addresses) > MAX_ADDRESSES:
        raise ApiError(413, "too_many_addresses", f"Send at most {MAX_ADDRESSES} addresses.")
    return addresses


def _refuse_large(request: HttpRequest) -> None:
    """Refuse a body by the length that it says; more than that is not read of it."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise _too_large()


def _body(request: HttpRequest) -> bytes:
    try:
        if len(request.body) <= MAX_BODY_BYTES:
            return request.body
    except RequestDataTooBig:
        pass  # larger than the project takes at all
    raise _too_large()


def _too_large() -> ApiError:
    return ApiError(413, "body_too_large", f"Send at most {MAX_BODY_BYTES} bytes.")


def _database_away(error: Exception) -> ApiError:
    """Tokens, sessions and the past are in the database, which cannot be asked."""
    log.error("geo_api_database_unavailable", error=str(error))
    message = f"The database cannot be asked. Ask again in {RETRY_SECONDS} seconds."
    return ApiError(503, "database_unavailable", message, {"Retry-After": str(RETRY_SECONDS)})


def _invalid(error: InvalidAddress) -> ApiError:
    return ApiError(400, "invalid_address", f"{error}.")


def _not_allowed(methods: tuple[str, ...]) -> ApiError:
    allowed = ", ".join(methods)
    return ApiError(405, "method_not_allowed", f"Use {allowed}.", {"Allow": allowed})
