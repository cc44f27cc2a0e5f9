"""Answers for programs, in JSON. Its texts are for developers, and not translated."""

from collections.abc import Callable, Iterable
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
from geocache.api import bodies
from geocache.api.access import ApiError, admit, rate_exceeded
from geocache.exceptions import InvalidAddress, RateExceeded
from geocache.history.spans import answer_on, parse_day
from geocache.labels import labelled
from geocache.location import Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.lookup import lookup, lookup_many
from geocache.models.connection import DATABASE_ERRORS, drop_broken_connection
from geocache.providers.credits import Credits, credited
from geocache.rate_limit.asker import Asker

# Bad lines of a text that are told; all are counted.
TOLD_BAD_LINES: Final = 100
# Django refuses it while it is read: the link, or a form whose token a check looked for.
UNREADABLE: Final = "The request is damaged, or has too many parameters."
# After how long to ask again when the database is away.
RETRY_SECONDS: Final = 10
# Days that exist in every time zone.
FIRST_DAY: Final = date(1970, 1, 2)
LAST_DAY: Final = date(2999, 12, 31)

log = get_logger(__name__)
database_down: Final = LogThrottle(seconds=60)

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
                bodies.refuse_large(request)
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
        return JsonResponse(credited(labelled([lookup(address)])[0].to_plain(), Credits()))
    except InvalidAddress as error:
        raise _invalid(error) from error


@api_view("POST")
def lookup_several(request: HttpRequest, asker: Asker) -> HttpResponse:
    """Answer many addresses in their order; for what is not an address, an error stands there."""
    if request.content_type == bodies.TEXT:
        return _lookup_text(request, asker)
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
    answers, thanks = _looked_up(valid), Credits()
    results = [
        {"address": text, "error": errors[text].to_plain()}
        if text in errors
        else credited(answers[text].to_plain(), thanks)
        for text in addresses
    ]
    return JsonResponse({"results": results})


def _lookup_text(request: HttpRequest, asker: Asker) -> HttpResponse:
    """Answer all addresses in a text, and name the lines in which one was meant."""
    text = bodies.text(request)
    cost = handed_in.reading_cost(text)
    asker.spend(cost, spent=1)
    lines = handed_in.split_lines(text)
    if len(lines) > handed_in.MAX_LINES:
        message = f"Send at most {handed_in.MAX_LINES} lines."
        raise ApiError(413, "too_many_lines", message)
    reading = handed_in.read_lines(lines)
    if len(reading.addresses) > handed_in.MAX_ADDRESSES:
        raise bodies.too_many_addresses()
    asker.spend(len(reading.addresses), spent=cost)
    asker.spend_queries(list(reading.addresses))
    answers, thanks = _looked_up(reading.addresses), Credits()
    return JsonResponse(
        {
            "results": [
                credited(answers[address].to_plain(), thanks) for address in reading.addresses
            ],
            "bad_lines": [_bad_line(line) for line in reading.bad_lines[:TOLD_BAD_LINES]],
            "bad_line_count": len(reading.bad_lines),
            "other_line_count": reading.other_line_count,
        }
    )


def _looked_up(addresses: Iterable[str]) -> dict[Any, Location]:
    answers = lookup_many(addresses)
    return dict(zip(answers, labelled(answers.values()), strict=True))


def _bad_line(line: handed_in.LineWithout) -> dict[str, object]:
    return {"line": line.number, "text": line.shown, "is_network": line.is_network}


@csrf_exempt
def nothing_here(request: HttpRequest, path: str = "") -> HttpResponse:  # noqa: ARG001 - Django's
    """Answer what the API does not have."""
    message = "There is nothing here. Try GET api/lookup/<address> or POST api/lookup."
    return ApiError(404, "not_found", message).to_response()


def _lookup_on(address: str, day: date) -> HttpResponse:
    span = answer_on(address, day)
    if span is None:
        raise ApiError(404, "not_known_then", f"Nothing was known about {address} on {day}.")
    return JsonResponse(credited(span.to_plain(), Credits()) | {"on": day.isoformat()})


def _day(given: list[str]) -> date:
    try:
        (text,) = given
        day = parse_day(text)
        if not FIRST_DAY <= day <= LAST_DAY:
            raise ValueError
    except ValueError as error:
        raise ApiError(400, "invalid_day", "Give one day as on=2026-01-31.") from error
    return day


def _database_away(error: Exception) -> ApiError:
    """Tokens, sessions and the past are in the database, which cannot be asked."""
    if database_down.is_due():
        log.error("geo_api_database_unavailable", error=str(error))
    message = f"The database cannot be asked. Ask again in {RETRY_SECONDS} seconds."
    return ApiError(503, "database_unavailable", message, {"Retry-After": str(RETRY_SECONDS)})


def _invalid(error: InvalidAddress) -> ApiError:
    return ApiError(400, "invalid_address", f"{error}.")


def _not_allowed(methods: tuple[str, ...]) -> ApiError:
    allowed = ", ".join(methods)
    return ApiError(405, "method_not_allowed", f"Use {allowed}.", {"Allow": allowed})
