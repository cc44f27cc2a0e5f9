from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocache.addresses.blocks import parse_entries
from geocache.labels.index import EMPTY, Index
from geocache.labels.ranges import Ranges

LABELS = ("bot", "cloud", "tor", "vpn")
# Few bits change, so that networks meet, hold each other and follow one another.
BASES = (0x5102_4500, 2**32 - 64)
BASES_6 = (0x2A01 << 112, 2**128 - 64, 0)
ADDRESSES = st.one_of(
    st.builds(lambda base, n: IPv4Address(base + n), st.sampled_from(BASES), st.integers(0, 63)),
    st.builds(lambda base, n: IPv6Address(base + n), st.sampled_from(BASES_6), st.integers(0, 63)),
)


def an_entry(address, narrower):
    length = {99: 0, 98: 1, 97: 8}.get(narrower, address.max_prefixlen - narrower)
    return str(ip_network((address, length), strict=False)) if narrower else str(address)


ENTRIES = st.builds(an_entry, ADDRESSES, st.sampled_from((0, 0, 1, 2, 4, 97, 98, 99)))
LISTS = st.lists(st.tuples(st.sampled_from(LABELS), st.lists(ENTRIES, max_size=8)), max_size=4)


def ranges_of(*texts: str) -> Ranges:
    found = sorted({one for text in texts for one in parse_entries(text)})
    return Ranges.of_entries((one.sort_key, one.prefix_length) for one in found)


def an_index(*lists: tuple[str, list[str]]) -> Index:
    return Index.of_lists((label, ranges_of(*texts)) for label, texts in lists)


def brute_force(lists, address):
    return tuple(
        sorted(
            {
                label
                for label, texts in lists
                for text in texts
                if address.version == ip_network(text).version and address in ip_network(text)
            }
        )
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LISTS, st.lists(ADDRESSES, max_size=8))
def test_index__says_what_looking_at_each_network_says(lists, addresses):
    index = an_index(*lists)
    asked = {*addresses}
    for _, texts in lists:
        for network in map(ip_network, texts):
            for end in (network[0], network[-1]):
                numbers = (int(end) + step for step in (-1, 0, 1))
                of_version = type(end)
                asked.update(of_version(n) for n in numbers if 0 <= n < 2**end.max_prefixlen)
    for address in asked:
        assert index.labels_of(str(address)) == brute_force(lists, address), address


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("81.2.69.142", ("tor", "vpn")),
        ("::ffff:81.2.69.142", ("tor", "vpn")),
        ("::ffff:5102:458e", ("tor", "vpn")),
        ("64:ff9b::81.2.69.142", ("tor", "vpn")),
        ("81.2.69.143", ("vpn",)),
        ("81.3.0.0", ()),
        ("2a01::1", ("cloud",)),
        ("2a02::1", ()),
        ("0.0.0.0", ()),
        ("255.255.255.255", ()),
        ("::", ()),
        ("no address", ()),
        ("", ()),
        ("1.2.3", ()),
        ("fe80::1%eth0", ()),
        ("\0", ()),
        ("\udcff", ()),
    ],
)
def test_labels_of__address_by_itself_and_in_networks(address, expected):
    index = an_index(
        ("vpn", ["81.2.0.0/16", "81.2.69.142", "81.2.69.0/24"]),
        ("vpn", ["81.2.69.0/24"]),
        ("tor", ["81.2.69.142"]),
        ("cloud", ["2a01::/16"]),
    )
    assert index.labels_of(address) == expected


def test_labels_of__networks_of_ipv6_hold_no_ipv4():
    index = an_index(("cloud", ["::/8"]))
    assert index.labels_of("81.2.69.142") == ()
    assert index.labels_of("::81") == ("cloud",)


def test_of_entries__what_follows_or_is_held_makes_one_range():
    one = ranges_of("10.0.0.0/24", "10.0.1.0/24", "10.0.1.7", "10.0.2.0")
    assert [*one.four] == [0x0A00_0000, 0x0A00_0201]
    everything = ranges_of("0.0.0.0/0", "::/0", "9.9.9.9", "2a01::1")
    assert ([*everything.four], [*everything.six]) == ([0], [0])


def test_index__is_small():
    texts = [f"81.{a}.{b}.{c}" for a in range(4) for b in range(100) for c in range(0, 200, 8)]
    index = an_index(("vpn", texts))
    assert index.byte_count / len(texts) <= 16
    assert an_index().byte_count == EMPTY.byte_count == 0


@pytest.mark.parametrize("is_empty", [True, False])
def test_index__is_true_if_it_holds_anything(is_empty):
    assert bool(an_index(("vpn", [] if is_empty else ["2a01::1"]))) is not is_empty
    assert not EMPTY
