from datetime import date, timedelta
from typing import Any

import pytest

from geocache.history.spans import answer_on, former_answers, parse_day, past_spans
from tests.factories import LONDON, NOON, a_row

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
FIRST = NOON.date()


@pytest.fixture
def moved() -> None:
    """London, from the fifth day on Leeds, from the ninth on Paris."""
    a_row()
    a_row(city="Leeds", resolved_at=NOON + 5 * DAY)
    a_row(country_code="FR", city="Paris", resolved_at=NOON + 9 * DAY)


@pytest.mark.usefixtures("moved")
@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (-1, None),
        (0, "London"),
        (4, "London"),
        (5, "Leeds"),
        (8, "Leeds"),
        (9, "Paris"),
        (900, "Paris"),
    ],
)
def test_answer_on__what_held_when_the_day_ended(days: int, expected: str | None) -> None:
    span = answer_on(LONDON, FIRST + days * DAY)
    assert (span.answer.city if span else None) == expected


@pytest.mark.usefixtures("moved")
def test_answer_on__the_present_answer_has_no_end() -> None:
    span = answer_on(LONDON, FIRST + 20 * DAY)
    assert span is not None
    assert (span.valid_from, span.valid_until) == (NOON + 9 * DAY, None)
    assert span.to_plain()["valid_until"] is None


def test_answer_on__an_unknown_address() -> None:
    assert answer_on(LONDON, date(2026, 5, 1)) is None


def test_answer_on__day_is_one_of_the_time_zone(settings: Any) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    a_row()  # noon is one in the morning of the next day
    assert answer_on(LONDON, FIRST) is None
    assert answer_on(LONDON, FIRST + DAY) is not None


@pytest.mark.usefixtures("moved")
def test_past_spans__newest_first() -> None:
    spans = past_spans(LONDON)
    assert [one.answer.city for one in spans] == ["Leeds", "London"]
    assert spans[0].valid_from == spans[1].valid_until


def test_parse_day__as_iso_writes_it() -> None:
    assert parse_day("2026-01-31") == date(2026, 1, 31)


@pytest.mark.parametrize(
    "text",
    ["", "31.1.2026", "20260131", "2026-W05-6", "2026-01-31 ", "\uff12026-01-31", "2026-02-29"],
)
def test_parse_day__refuses_all_else(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_day(text)


@pytest.mark.usefixtures("moved")
def test_former_answers__what_held_at_each_moment(django_assert_num_queries: Any) -> None:
    moments = [NOON + days * DAY for days in (-1, 0, 4, 5, 9, 20)]
    with django_assert_num_queries(1):
        found = former_answers([("8.8.8.8", NOON), *((LONDON, at) for at in moments)])
    cities = {at: answer.city for (_, at), answer in found.items()}
    # Before the first nothing was known, and the last still holds.
    assert list(map(cities.get, moments)) == [None, "London", "London", "Leeds", None, None]


def test_former_answers__of_nothing_ask_nothing(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert former_answers([]) == {}
