"""Options that several commands take alike, and the types of their values."""

import math
from argparse import ArgumentTypeError
from datetime import UTC, date, datetime
from typing import Final

from django.core.management.base import CommandParser

from geocache.history.spans import parse_day

MAX_SECONDS: Final = 86_400


def add_time_limit(parser: CommandParser, default: str = "never") -> None:
    """Take ``--time-limit``; ``default`` says when a command ends without it."""
    parser.add_argument(
        "--time-limit",
        type=seconds,
        metavar="SECONDS",
        help=f"stop behind the batch at hand after so many seconds (default: {default})",
    )


def add_json(parser: CommandParser, form: str = "the figures as one JSON object") -> None:
    """Take ``--json`` as ``is_json``; ``form`` says what is then written."""
    parser.add_argument("--json", action="store_true", dest="is_json", help=form)


def language(text: str) -> str:
    """Return the code of a language; raise ``ArgumentTypeError`` for what is none."""
    from geocache.place_names import language_of  # noqa: PLC0415 - not for each command

    try:
        return language_of(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a language. {error}") from error


def seconds(text: str) -> float:
    """Return a time limit; raise ``ArgumentTypeError`` unless it is above 0 and at most a day."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= MAX_SECONDS:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds above 0, up to 86400")
    return value


def days(text: str) -> int:
    """Return a number of days; raise ``ArgumentTypeError`` unless it is 1 to 100 years."""
    from geocache.setting_bounds import MAX_DAYS  # noqa: PLC0415 - not for each command

    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 13 else 0
    if not 0 < value <= MAX_DAYS:
        raise ArgumentTypeError(f"{text!r} is not a number of days from 1 to {MAX_DAYS}")
    return value


def count(text: str) -> int:
    """Return a number of rows; raise ``ArgumentTypeError`` unless it is above 0."""
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 13 else 0
    if not value:
        raise ArgumentTypeError(f"{text!r} is not a number of rows above 0")
    return value


def past_day(text: str) -> date:
    """Return a day of UTC; raise ``ArgumentTypeError`` unless it is today or before."""
    try:
        value = parse_day(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no day such as 2026-01-31") from error
    if value > datetime.now(UTC).date():
        raise ArgumentTypeError(f"{text} is in the future: nobody knows what will be known then")
    return value
