"""The types of what programs send and are answered: checked by msgspec, and described by it.

The texts of the classes are part of the description of the API.
"""

from typing import Annotated, Any, Final, NotRequired, TypedDict

import msgspec

from geocache.addresses.handed_in import MAX_ADDRESSES
from geocache.history.spans import SpanDict
from geocache.location import LocationDict


class LookupRequest(msgspec.Struct):
    """Addresses to look up. Other keys are ignored."""

    addresses: Annotated[list[str], msgspec.Meta(max_length=MAX_ADDRESSES)]


class Answer(LocationDict):
    """What is known of an address."""

    credit: str
    country_name: NotRequired[str]
    continent_name: NotRequired[str]


class PastAnswer(SpanDict):
    """What was known of an address when a day ended."""

    credit: str
    on: str
    country_name: NotRequired[str]
    continent_name: NotRequired[str]


class Problem(TypedDict):
    """What is wrong."""

    code: str
    message: str


class ErrorAnswer(TypedDict):
    """The body of every error."""

    error: Problem


class RefusedAddress(TypedDict):
    """A text that is not an address, in the place of its answer."""

    address: str
    error: Problem


class Answers(TypedDict):
    """The answers for addresses in a body of JSON."""

    # ``RESULT`` describes them: msgspec has no union of two dicts.
    results: list[Any]


class BadLine(TypedDict):
    """A line in which an address was meant and is not."""

    line: int
    text: str
    is_network: bool


class TextAnswers(TypedDict):
    """The answers for the addresses in a text."""

    results: list[Answer]
    bad_lines: list[BadLine]
    bad_line_count: int
    other_line_count: int


ALL: Final = (
    Answer,
    PastAnswer,
    Problem,
    ErrorAnswer,
    RefusedAddress,
    Answers,
    BadLine,
    TextAnswers,
    LookupRequest,
)
# One of ``Answers.results``.
RESULT: Final = (Answer, RefusedAddress)
