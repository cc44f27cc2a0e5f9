from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from geocache.databases.update_state import FILE_NAME, UpdateState, UpdateStates

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def attempts(*hours: float) -> UpdateState:
    state = UpdateState()
    for one in hours:
        state = state.attempted(NOON + timedelta(hours=one))
    return state


def test_refusal__after_four_attempts_within_a_day() -> None:
    assert attempts(0, 1, 2).refusal(NOON + timedelta(hours=3)) == ""
    full = attempts(0, 1, 2, 3)
    assert "again after 2026-01-03 12:00 UTC" in full.refusal(NOON + timedelta(hours=4))
    assert full.refusal(NOON + timedelta(hours=25)) == ""


def test_refusal__attempts_in_the_future_of_a_clock_set_back_do_not_count() -> None:
    assert attempts(48, 49, 50, 51).refusal(NOON) == ""


def test_attempted__forgets_those_of_earlier_days() -> None:
    assert len(attempts(0, 1, 48).attempted_at) == 1


@pytest.mark.parametrize(("hours", "is_due"), [(1, False), (7, True)])
def test_is_due__again_after_a_pause_when_it_failed(hours: float, is_due: bool) -> None:
    assert attempts(0).is_due(NOON + timedelta(hours=hours), days=7) is is_due


def test_is_due__once_in_so_many_days_when_all_is_well() -> None:
    state = UpdateState(checked_at=NOON.isoformat())
    assert not state.is_due(NOON + timedelta(days=6), days=7)
    assert state.is_due(NOON + timedelta(days=7), days=7)
    assert UpdateState().is_due(NOON, days=7)


def test_conditions__only_for_the_url_that_they_are_of() -> None:
    state = UpdateState(url="https://a", etag='"1"')
    assert state.conditions("https://a") == {"If-None-Match": '"1"'}
    assert state.conditions("https://b") == {}


def test_ledger__remembers(tmp_path: Path) -> None:
    UpdateStates(tmp_path).put("city", attempts(0, 1))
    assert UpdateStates(tmp_path).of("city") == attempts(0, 1)
    assert UpdateStates(tmp_path).of("asn") == UpdateState()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"city": []}',
        '{"city": {"of_another_release": 1}}',
        '{"city": {"attempted_at": 5}}',
        '{"city": {"attempted_at": ["noon"]}}',
        '{"city": {"checked_at": 5}}',
        "\udcff",
    ],
)
def test_ledger__of_a_broken_file_nothing_is_remembered(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text, errors="surrogateescape")
    assert UpdateStates(tmp_path).of("city") == UpdateState()
