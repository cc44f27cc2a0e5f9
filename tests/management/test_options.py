from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import CommandError
from django.core.management.base import CommandParser

from geocache.management.options import add_json, add_time_limit, past_day

Add = Callable[[CommandParser], None]


def a_parser(add: Add) -> CommandParser:
    parser = CommandParser(prog="manage.py example", called_from_command_line=False)
    add(parser)
    return parser


def parsed(add: Add, *arguments: str) -> Namespace:
    return a_parser(add).parse_args(arguments)


def help_of(add: Add) -> str:
    return " ".join(a_parser(add).format_help().split())


def test_add_time_limit__is_a_number_of_seconds() -> None:
    assert parsed(add_time_limit, "--time-limit", "2.5").time_limit == 2.5
    assert parsed(add_time_limit).time_limit is None


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "86401", "soon", ""])
def test_add_time_limit__refuses(text: str) -> None:
    with pytest.raises(CommandError, match=f"'{text}' is not a number of seconds above 0"):
        parsed(add_time_limit, f"--time-limit={text}")


def test_add_time_limit__help_says_what_holds_without_it() -> None:
    assert help_of(add_time_limit).endswith("after so many seconds (default: never)")
    said = help_of(lambda parser: add_time_limit(parser, default="the setting X"))
    assert said.endswith("after so many seconds (default: the setting X)")


def test_add_json__is_off_unless_given() -> None:
    assert parsed(add_json, "--json").is_json is True
    assert parsed(add_json).is_json is False


def test_add_json__help_says_what_is_written() -> None:
    assert help_of(add_json).endswith("--json the figures as one JSON object")
    assert help_of(lambda parser: add_json(parser, "one a line")).endswith("--json one a line")


def test_past_day__is_today_or_before() -> None:
    today = datetime.now(UTC).date()
    assert past_day("2026-01-02") == date(2026, 1, 2)
    assert past_day(today.isoformat()) == today
    with pytest.raises(ArgumentTypeError, match=r"is in the future"):
        # By two days, as midnight may come in between.
        past_day((today + timedelta(days=2)).isoformat())


@pytest.mark.parametrize("text", ["", "x", "2026-1-2", "2026-02-30", "20260102", "2026-W01-1"])
def test_past_day__refuses(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=f"^'{text}' is no day such as 2026-01-31$"):
        past_day(text)
