from ipaddress import ip_network

import pytest

from geocache.addresses.blocks import is_entry, parse_entries
from geocache.exceptions import InvalidAddress


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3.4", ["1.2.3.4"]),
        ("::ffff:1.2.3.4", ["1.2.3.4"]),
        ("2A02:6B8::1", ["2a02:6b8::1"]),
        ("1.2.3.0/24", ["1.2.3.0/24"]),
        ("1.2.3.77/24", ["1.2.3.0/24"]),
        ("1.2.3.4/32", ["1.2.3.4"]),
        ("2a02:6b8::/128", ["2a02:6b8::"]),
        ("1.2.3.0-1.2.3.255", ["1.2.3.0/24"]),
        ("1.2.3.4-1.2.3.6", ["1.2.3.4/31", "1.2.3.6"]),
        ("1.2.3.0 - 1.2.3.255", ["1.2.3.0/24"]),
        ("1.2.3.0\N{EN DASH}1.2.3.255", ["1.2.3.0/24"]),
        ("1.2.3.0 \N{EM DASH} 1.2.3.255", ["1.2.3.0/24"]),
        ("1.2.3.4-1.2.3.4", ["1.2.3.4"]),
        ("9.0.0.0-9.255.255.255", ["9.0.0.0/8"]),
        ("2a02:6b8::-2a02:6b8::ffff", ["2a02:6b8::/112"]),
        ("2a02:6000::-2a02:7fff:ffff:ffff:ffff:ffff:ffff:ffff", ["2a02:6000::/19"]),
        ("::ffff:1.2.3.0-::ffff:1.2.3.255", ["1.2.3.0/24"]),
        ("1.2.3.0/255.255.255.0", ["1.2.3.0/24"]),
        ("1.2.3.0/0.0.0.255", ["1.2.3.0/24"]),
        ("::ffff:1.2.3.0/120", ["1.2.3.0/24"]),
        ("9.9.9.9/16", ["9.9.0.0/16"]),
        ("9.0.0.0/8", ["9.0.0.0/8"]),
        ("2a02:6b8::1/32", ["2a02:6b8::/32"]),
    ],
)
def test_parse_entries__canonical(text: str, expected: list[str]) -> None:
    assert [one.text for one in parse_entries(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        *["", "x", "1.2.3", "1.2.3.0/33", "1.2.3.9-1.2.3.1", "1.1.1.1-::1", "1.1.1.1-", "-1.1.1.1"],
        *["1.1.1.1-1.1.1.2-1.1.1.3", "1.1.1.0/24-1.1.2.0/24", "1.2.3.*", "009.009.009.000"],
        *["009.009.009.000 - 009.009.009.255", "1.2.3.0/255.0.255.0", "1.2.3.0 1.2.3.9", "-", "/"],
    ],
)
def test_parse_entries__refuses_what_is_none(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_entries(text)
    assert not is_entry(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("149.112.112.112/3", "128.0.0.0/3"),
        ("9.9.9.9/8", "9.0.0.0/8"),
        ("9.9.9.0/15", "9.8.0.0/15"),
        ("9.9.9.9/255.0.0.0", "9.0.0.0/8"),
        ("9.9.9.9/0.0.0.0", "0.0.0.0/0"),
        ("::ffff:9.9.9.9/104", "9.0.0.0/8"),
        ("::ffff:9.9.9.9/80", "::/80"),
        ("2606:4700:4700::1111/12", "2600::/12"),
        ("2606:4700:4700::/31", "2606:4700::/31"),
    ],
)
def test_parse_entries__host_bits_behind_a_short_prefix_are_an_error(text: str, meant: str) -> None:
    with pytest.raises(InvalidAddress, match=f"host bits.*write {meant} if"):
        parse_entries(text)


@pytest.mark.parametrize(
    "text",
    ["1.0.0.0-9.255.255.255", "0.0.0.0-255.255.255.255", "9.0.0.0-10.0.0.0", "::-2a02::"],
)
def test_parse_entries__range_is_not_cut_but_refused(text: str) -> None:
    with pytest.raises(InvalidAddress, match="too many"):
        parse_entries(text)


def test_parse_entries__longest_range_is_whole() -> None:
    first, last = "2a02:6000::1", "2a02:7fff:ffff:ffff:ffff:ffff:ffff:fffe"
    networks = [ip_network(one.text) for one in parse_entries(f"{first}-{last}")]
    assert sum(one.num_addresses for one in networks) == 2**109 - 2


def test_entry__sorts_as_addresses_do() -> None:
    texts = ["1.0.0.0/8", "1.0.0.0/9", "1.0.0.0", "1.0.0.1", "9.0.0.0", "10.0.0.0", "2a02:6b8::"]
    entries = [entry for text in reversed(texts) for entry in parse_entries(text)]
    assert [one.text for one in sorted(entries)] == texts
