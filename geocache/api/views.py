"""Answers for programs, in JSON. Its texts are for developers, and not translated."""

from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import Any, Final

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import conditional_page

from geocache.addresses import handed_in, normalise
from geocache.api import answers, bodies
from geocache.api.access import admit, rate_exceeded
from geocache.api.description import describe
from geocache.api.errors import ApiError
from geocache.api.operations import (
    DESCRIBE,
    LANG,
    LOOKUP_ONE,
    LOOKUP_SEVERAL,
    ON,
    TEXT,
    Operation,
)
from geocache.exceptions import InvalidAddress, RateExceeded
from geocache.history.spans import answer_on
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.lookup import lookup, lookup_many
from geocache.models.connection import DATABASE_ERRORS, drop_broken_connection
from geocache.rate_limit.asker import Asker

# Bad lines of a text that are told; all are counted.
TOLD_BAD_LINES: Final = 100
# Django refuses it while it is read: the link, or a form whose token a check looked for.
UNREADABLE: Final = "The request is damaged, or has too many parameters."
# How long the description may be kept: settings of the project are in it.
DESCRIPTION_SECONDS: Final = 300
# After how long to ask again when the database is away.
RETRY_SECONDS: Final = 10

log = get_logger(__name__)
database_down: Final = LogThrottle(seconds=60)

View = Callable[..., HttpResponse]


def api_view(operation: Operation) -> Callable[[View], View]:
    """Let in who may, answer errors in JSON, and let a client ask whether an answer has changed."""
    methods = operation.methods

    def decorate(view: View) -> View:
        @csrf_exempt  # ``admit`` checks it where it counts, for sessions
        @conditional_page
        @wraps(view)
        def guarded(request: HttpRequest, **arguments: Any) -> HttpResponse:
            try:
                if request.method not in methods:
                    raise _not_allowed(methods)
                bodies.refuse_large(request)
                response = view(request, admit(request), **arguments)
            except RateExceeded as error:
                response = rate_exceeded(error).to_response()
            except ApiError as error:
                response = error.to_response()
            except (SuspiciousOperation, MultiPartParserError):
                response = ApiError("bad_request", UNREADABLE).to_response()
            except DATABASE_ERRORS as error:
                drop_broken_connection()
                response = _database_away(error).to_response()
            patch_cache_control(response, private=True, no_cache=True)
            patch_vary_headers(response, ["Authorization", "Cookie"])
            return response

        return guarded

    return decorate


@api_view(LOOKUP_ONE)
def lookup_one(request: HttpRequest, asker: Asker, address: str) -> HttpResponse:
    """Answer one address; with ``?on=``, as it was known on a day."""
    day, language = ON.read(request), LANG.read(request)
    try:
        if day is not None:
            return _lookup_on(normalise(address), day, language)
        asker.spend_queries([address])
        (answer,) = answers.present([lookup(address)], language)
        return JsonResponse(answer)
    except InvalidAddress as error:
        raise _invalid(error) from error


@api_view(LOOKUP_SEVERAL)
def lookup_several(request: HttpRequest, asker: Asker) -> HttpResponse:
    """Answer many addresses in their order; for what is not an address, an error stands there."""
    language = LANG.read(request)
    if request.content_type == TEXT:
        return _lookup_text(request, asker, language)
    addresses = bodies.addresses(request)
    asker.spend(len(addresses), spent=1)
    errors: dict[str, ApiError] = {}
    for text in addresses:
        try:
            normalise(text)
        except InvalidAddress as error:
            errors[text] = _invalid(error)
    valid = [text for text in addresses if text not in errors]
    asker.spend_queries(valid)
    known = lookup_many(valid)
    told = iter(answers.present((known[text] for text in valid), language))
    results = [
        {"address": text, "error": errors[text].to_plain()} if text in errors else next(told)
        for text in addresses
    ]
    return JsonResponse({"results": results})


def _lookup_text(request: HttpRequest, asker: Asker, language: str | None) -> HttpResponse:
    """Answer all addresses in a text, and name the lines in which one was meant."""
    text = bodies.text(request)
    cost = handed_in.reading_cost(text)
    asker.spend(cost, spent=1)
    lines = handed_in.split_lines(text)
    if len(lines) > handed_in.MAX_LINES:
        message = f"Send at most {handed_in.MAX_LINES} lines."
        raise ApiError("too_many_lines", message)
    reading = handed_in.read_lines(lines)
    if len(reading.addresses) > handed_in.MAX_ADDRESSES:
        raise bodies.too_many_addresses()
    asker.spend(len(reading.addresses), spent=cost)
    asker.spend_queries(list(reading.addresses))
    known = lookup_many(reading.addresses)
    return JsonResponse(
        {
            "results": answers.present((known[one] for one in reading.addresses), language),
            "bad_lines": [_bad_line(line) for line in reading.bad_lines[:TOLD_BAD_LINES]],
            "bad_line_count": len(reading.bad_lines),
            "other_line_count": reading.other_line_count,
        }
    )


def _bad_line(line: handed_in.LineWithout) -> dict[str, object]:
    return {"line": line.number, "text": line.shown, "is_network": line.is_network}


@csrf_exempt
@conditional_page
def openapi(request: HttpRequest) -> HttpResponse:
    """Describe the API where it is included, to everybody."""
    if request.method not in DESCRIBE.methods:
        return _not_allowed(DESCRIBE.methods).to_response()
    mount = request.path.removesuffix(DESCRIBE.path)
    response = JsonResponse(describe(mount))
    patch_cache_control(response, public=True, max_age=DESCRIPTION_SECONDS)
    return response


@csrf_exempt
def nothing_here(request: HttpRequest, path: str = "") -> HttpResponse:  # noqa: ARG001 - Django's
    """Answer what the API does not have."""
    message = "There is nothing here. GET api/openapi.json says what there is."
    return ApiError("not_found", message).to_response()


def _lookup_on(address: str, day: date, language: str | None) -> HttpResponse:
    span = answer_on(address, day)
    if span is None:
        raise ApiError("not_known_then", f"Nothing was known about {address} on {day}.")
    return JsonResponse(answers.past(span, day, language))


def _database_away(error: Exception) -> ApiError:
    """Tokens, sessions and the past are in the database, which cannot be asked."""
    if database_down.is_due():
        log.error("geo_api_database_unavailable", error=str(error))
    message = f"The database cannot be asked. Ask again in {RETRY_SECONDS} seconds."
    return ApiError("database_unavailable", message, {"Retry-After": str(RETRY_SECONDS)})


def _invalid(error: InvalidAddress) -> ApiError:
    return ApiError("invalid_address", f"{error}.")


def _not_allowed(methods: tuple[str, ...]) -> ApiError:
    allowed = ", ".join(methods)
    return ApiError("method_not_allowed", f"Use {allowed}.", {"Allow": allowed})
