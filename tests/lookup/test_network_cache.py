from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from geocache.location import NOT_FOUND
from geocache.lookup import hot_entries, network_cache
from geocache.lookup.network_cache import Known, find_known, old_rows
from tests.factories import LONDON, a_location, a_row

pytestmark = pytest.mark.django_db

NEIGHBOUR = "81.2.69.7"


def recalled(*addresses: str) -> Known:
    return find_known("b", {text: ip_address(text) for text in addresses})


def hot(address: str = LONDON, **fields: object) -> None:
    location = a_location(address, **{"resolved_at": datetime.now(UTC), **fields})
    hot_entries.set_many("b", [location], with_networks=True)


def test_recall__tells_own_rows_from_networks():
    now = datetime.now(UTC)
    own = a_row(resolved_at=now).to_location()
    answers = recalled(LONDON, NEIGHBOUR, "9.9.9.9")
    assert answers.by_address == {LONDON: own}
    assert list(answers.by_network) == [NEIGHBOUR]
    assert (answers.by_network[NEIGHBOUR].address, answers.by_network[NEIGHBOUR].city) == (
        NEIGHBOUR,
        "London",
    )


def test_recall__knows_a_network_that_is_not_flushed_yet():
    hot()
    assert recalled(NEIGHBOUR).by_network[NEIGHBOUR].city == "London"
    assert recalled("81.2.70.1") == Known()


def test_recall__an_empty_answer_holds_for_its_network_too():
    hot(reason=NOT_FOUND, city="", country_code="")
    assert recalled(NEIGHBOUR).by_network[NEIGHBOUR].reason == NOT_FOUND


@pytest.mark.parametrize(
    ("in_table", "in_cache", "city"),
    [("81.2.0.0/16", "81.2.69.0/24", "Hot"), ("81.2.69.0/24", "81.2.0.0/16", "Row")],
)
def test_recall__the_narrower_network_wins_wherever_it_is(in_table, in_cache, city):
    a_row("81.2.69.1", network=in_table, city="Row", resolved_at=datetime.now(UTC))
    hot("81.2.69.2", network=in_cache, city="Hot", resolved_at=datetime.now(UTC))
    assert recalled(NEIGHBOUR).by_network[NEIGHBOUR].city == city


@pytest.mark.parametrize(("row_age", "hot_age", "city"), [(2, 1, "Hot"), (1, 2, "Row")])
def test_recall__of_one_network_the_newer_answer_wins(row_age, hot_age, city):
    now = datetime.now(UTC)
    a_row("81.2.69.1", city="Row", resolved_at=now - timedelta(hours=row_age))
    hot("81.2.69.2", city="Hot", resolved_at=now - timedelta(hours=hot_age))
    assert recalled(NEIGHBOUR).by_network[NEIGHBOUR].city == city


def test_recall__of_two_rows_of_one_network_the_newer_answers():
    now = datetime.now(UTC)
    for address, city, age in (("81.2.69.1", "A", 3), ("81.2.69.2", "B", 1), ("81.2.69.3", "C", 2)):
        a_row(address, city=city, resolved_at=now - timedelta(hours=age))
    assert recalled(NEIGHBOUR).by_network[NEIGHBOUR].city == "B"


def test_recall__networks_of_any_number_of_addresses(monkeypatch):
    monkeypatch.setattr(network_cache, "COVERED_ADDRESSES", 2)
    monkeypatch.setattr(hot_entries, "NEAR_ADDRESSES", 2)
    hot()
    asked = [f"81.2.69.{n}" for n in range(5)]
    assert list(recalled(*asked).by_network) == asked


def test_old_rows__are_there_whatever_their_age():
    row = a_row(resolved_at=datetime(2001, 1, 1, tzinfo=UTC))
    asked = {text: ip_address(text) for text in (LONDON, NEIGHBOUR)}
    assert old_rows(asked) == {LONDON: replace(row.to_location(), is_stale=True)}
