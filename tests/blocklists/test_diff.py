from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from geocache.addresses.blocks import Entry, parse_entries
from geocache.blocklists.diff import Change, Kind, differences
from tests.support.blocklists import an_entry

NUMBERS = st.sets(st.integers(0, 40))


def entries(numbers: set[int]) -> list[Entry]:
    return sorted(parse_entries(f"1.2.3.{number}")[0] for number in numbers)


@given(NUMBERS, NUMBERS)
def test_differences__what_is_on_one_side_only(new: set[int], held: set[int]) -> None:
    found = list(differences(entries(new), entries(held)))
    assert [one.entry for one in found if one.kind is Kind.ADDED] == entries(new - held)
    assert [one.entry for one in found if one.kind is Kind.REMOVED] == entries(held - new)
    assert [one.entry for one in found] == sorted(one.entry for one in found)


SCORED = st.dictionaries(
    st.integers(0, 20), st.tuples(st.none() | st.integers(0, 2), st.sampled_from(["", "a"]))
)


@given(SCORED, SCORED)
def test_differences__other_score_or_comment_is_changed(new: Any, held: Any) -> None:
    walks = [
        sorted(an_entry(f"1.2.3.{number}", *said) for number, said in side.items())
        for side in (new, held)
    ]
    found = list(differences(*walks))
    both = sorted(new.keys() & held.keys())
    assert [one for one in found if one.kind is Kind.CHANGED] == [
        Change(Kind.CHANGED, an_entry(f"1.2.3.{number}", *new[number]))
        for number in both
        if new[number] != held[number]
    ]
    assert len(found) == sum(new.get(one) != held.get(one) for one in new.keys() | held.keys())
