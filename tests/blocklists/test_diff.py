from hypothesis import given
from hypothesis import strategies as st

from geocache.addresses.blocks import Entry, parse_entries
from geocache.blocklists.diff import differences

NUMBERS = st.sets(st.integers(0, 40))


def entries(numbers: set[int]) -> list[Entry]:
    return sorted(parse_entries(f"1.2.3.{number}")[0] for number in numbers)


@given(NUMBERS, NUMBERS)
def test_differences__what_is_on_one_side_only(new: set[int], held: set[int]) -> None:
    found = list(differences(entries(new), entries(held)))
    assert [one.entry for one in found if one.is_added] == entries(new - held)
    assert [one.entry for one in found if not one.is_added] == entries(held - new)
    assert [one.entry for one in found] == sorted(one.entry for one in found)
