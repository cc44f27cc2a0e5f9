"""What covers what, against the answers of ``ipaddress``."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocache.bans.ranges import Range, Ranges

# A small part of IPv4, in which networks often touch and overlap.
NETWORKS = st.builds(
    lambda number, length: IPv4Network((number & ~((1 << (32 - length)) - 1), length)),
    st.integers(0x09090900, 0x090909FF),
    st.integers(24, 32),
)


@given(st.lists(NETWORKS, max_size=10), NETWORKS)
def test_ranges__cover_and_overlap_what_their_addresses_do(
    networks: list[IPv4Network], asked: IPv4Network
) -> None:
    ranges = Ranges(Range.parse(str(one)) for one in networks)
    inside: set[IPv4Address] = {address for one in networks for address in one}
    wanted = set(asked)
    assert ranges.cover(Range.parse(str(asked))) == (wanted <= inside)
    assert ranges.overlap(Range.parse(str(asked))) == bool(wanted & inside)


def test_ranges__keep_versions_apart() -> None:
    ranges = Ranges([Range.parse("::/64"), Range.parse("2620:fe::-2620:fe::ff")])
    assert not ranges.cover(Range.parse("0.0.0.1"))
    assert not ranges.overlap(Range.parse("0.0.0.1"))
    assert ranges.cover(Range.parse("2620:fe::fe"))
    assert not ranges.cover(Range.parse("2620:fe::/64"))


@pytest.mark.parametrize("text", ["root", "1.2.3", "1.2.3.4-", "", "1.2.3.4/33"])
def test_range__refuses_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear to be|not permitted"):
        Range.parse(text)
