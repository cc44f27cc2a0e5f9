"""What the API offers: the views obey this table, and the description is made from it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Generic, TypeVar

from django.http import HttpRequest

from geocache import place_names
from geocache.addresses import handed_in
from geocache.api import schemas
from geocache.api.errors import ApiError
from geocache.history.spans import parse_day

JSON: Final = "application/json"
TEXT: Final = "text/plain"
# Days that exist in every time zone.
FIRST_DAY: Final = date(1970, 1, 2)
LAST_DAY: Final = date(2999, 12, 31)
# How a text may be packed; what it begins with tells how it is.
ENCODINGS: Final = ("", "identity", "gzip", "x-gzip")

Value = TypeVar("Value")
Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter(Generic[Value]):
    """A parameter of the query, given at most once; ``code`` and ``message`` are its error."""

    name: str
    meaning: str
    schema: Schema
    parse: Callable[[str], Value]
    code: str
    message: str

    def read(self, request: HttpRequest) -> Value | None:
        """Return its value, None where it is not given; raise ``ApiError``."""
        given = request.GET.getlist(self.name)
        if not given:
            return None
        try:
            (text,) = given
            return self.parse(text)
        except ValueError as error:
            raise ApiError(self.code, self.message) from error


@dataclass(frozen=True, slots=True)
class Operation:
    """A path, what may be sent to it, and what it answers.

    ``bodies`` has a type for each ``Content-Type``, and ``answers`` the types of an answer.
    """

    id: str
    path: str
    methods: tuple[str, ...]
    summary: str
    meaning: str
    answers: tuple[type, ...]
    codes: tuple[str, ...]
    parameters: tuple[Parameter[Any], ...] = ()
    bodies: tuple[tuple[str, type], ...] = ()
    # Answered without a token or a session.
    is_open: bool = False

    @property
    def is_safe(self) -> bool:
        """Tell whether a session may ask without its CSRF token."""
        return "POST" not in self.methods


def _day(text: str) -> date:
    day = parse_day(text)
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"{text} is too early or too late")
    return day


ON: Final = Parameter(
    "on",
    f"A day from {FIRST_DAY} to {LAST_DAY}, in the time zone of the site: answer what the table "
    "knew when it ended. No provider is asked.",
    {"type": "string", "format": "date", "pattern": "^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}$"},
    _day,
    "invalid_day",
    "Give one day as on=2026-01-31.",
)
LANG: Final = Parameter(
    "lang",
    "A language such as `de` or `pt-BR`: city, region and subdivisions have their names in it "
    "where the open database has them, and `country_name` and `continent_name` are added.",
    {"type": "string", "pattern": "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$", "examples": ["de"]},
    place_names.language_of,
    "invalid_language",
    "Give one language as lang=de.",
)
# What any request may be told that has to be let in.
COMMON: Final = (
    "bad_request",
    "not_authenticated",
    "invalid_token",
    "forbidden",
    "method_not_allowed",
    "too_many_addresses",
    "body_too_large",
    "too_many_requests",
    "database_unavailable",
)
LOOKUP_ONE: Final = Operation(
    id="lookup",
    path="/lookup/{address}",
    methods=("GET", "HEAD"),
    summary="Look up one address",
    meaning="An address of which nothing is known is an answer, with `found` false, not an error.",
    answers=(schemas.Answer, schemas.PastAnswer),
    codes=("invalid_address", "invalid_day", "invalid_language", "not_known_then", *COMMON),
    parameters=(ON, LANG),
)
LOOKUP_SEVERAL: Final = Operation(
    id="lookup_several",
    path="/lookup",
    methods=("POST",),
    summary="Look up many addresses",
    meaning=f"Up to {handed_in.MAX_ADDRESSES:,} addresses as JSON, or any text in which they are "
    f"to be found, of up to {handed_in.MAX_BYTES:,} bytes and {handed_in.MAX_LINES:,} lines.",
    answers=(schemas.Answers, schemas.TextAnswers),
    codes=(
        "invalid_language",
        "invalid_json",
        "invalid_body",
        "csrf_failed",
        "too_many_lines",
        "unsupported_media_type",
        "unsupported_encoding",
        *COMMON,
    ),
    parameters=(LANG,),
    bodies=((JSON, schemas.LookupRequest), (TEXT, str)),
)
DESCRIBE: Final = Operation(
    id="describe",
    path="/openapi.json",
    methods=("GET", "HEAD"),
    summary="Describe this API",
    meaning="This description, which holds nothing secret: for everybody.",
    answers=(dict,),
    codes=("method_not_allowed",),
    is_open=True,
)
OPERATIONS: Final = (LOOKUP_ONE, LOOKUP_SEVERAL, DESCRIBE)
