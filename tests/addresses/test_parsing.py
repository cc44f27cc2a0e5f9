import random
import time
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from django.utils.safestring import SafeString

from geocache.addresses import (
    SPECIAL_NETWORKS,
    networks_around,
    normalise,
    normalised_and_key,
    parse_address,
    parse_network,
    prefix_length,
    public_text,
    sort_key,
    special_reason,
)
from geocache.exceptions import InvalidAddress

NETWORKS = [(ip_network(text), reason) for text, reason in SPECIAL_NETWORKS]


def is_listed(address):
    return any(address in network for network, _ in NETWORKS if network.version == address.version)


def random_addresses(count, seed=1):
    numbers = random.Random(seed)
    for _ in range(count):
        yield IPv4Address(numbers.getrandbits(32))
        yield IPv6Address(numbers.getrandbits(125) | 1 << 125)
        yield IPv6Address(numbers.getrandbits(128))


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("81.2.69.142", "81.2.69.142"),
        (" 81.2.69.142\n", "81.2.69.142"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("::FFFF:0102:0304", "1.2.3.4"),
        ("2001:4860:4860::8888", "2001:4860:4860::8888"),
        ("2001:4860:4860:0:0:0:0:8888", "2001:4860:4860::8888"),
        ("2A02:06B8::0001", "2a02:6b8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1.2.3.4", "::102:304"),
        ("255.255.255.255", "255.255.255.255"),
        ("::", "::"),
        (IPv4Address("1.2.3.4"), "1.2.3.4"),
        (IPv6Address("::ffff:1.2.3.4"), "1.2.3.4"),
        (IPv6Address("fe80::1%eth0"), "fe80::1"),
    ],
)
def test_normalise__gives_one_text_an_address(text, normal):
    assert normalise(text) == normal


def test_normalise__changes_nothing_that_is_normal_already():
    for address in random_addresses(300):
        once = normalise(str(address))
        assert normalise(once) == once
        assert normalise(address) == once


def test_parse_address__a_zone_is_dropped_only_where_it_means_something():
    assert parse_address("fe80::1%eth0") == IPv6Address("fe80::1")
    assert parse_address("fe80::1%eth0").scope_id is None
    for elsewhere in ("2001:4860::1%eth0", "ff02::1%eth0", "::1%lo", "::ffff:1.2.3.4%eth0"):
        with pytest.raises(InvalidAddress):
            parse_address(elsewhere)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "   ",
        "abc",
        "localhost",
        "example.com",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "-1.2.3.4",
        "01.02.03.04",
        "0x7f.0.0.1",
        "1e1.1.1.1",
        "1_0.1.1.1",
        "1.2.3.4:80",
        "[::1]",
        "[::1]:80",
        "1.2.3.4, 5.6.7.8",
        "1.2.3.4/32",
        "1.2.3.0/24",
        "::1/128",
        "1\0.2.3.4",
        "1.2.3.4\0",
        "fe80::1%\0",
        "fe80::1%",
        "fe80::1%a%b",
        "fe80::1%" + "a" * 200,
        "1.2.3.4" + " " * 200,
        "\u0661.\u0662.\u0663.\u0664",
        "\N{FULLWIDTH DIGIT ONE}.2.3.4",
        "1.2.3.4\N{ZERO WIDTH SPACE}",
        "1\u30022\u30023\u30024",
        "\ud800",
        ":::",
        "1::2::3",
        "12345::",
        "g::1",
        "16909060",
        16909060,
        0,
        True,
        False,
        None,
        1.5,
        b"\x01\x02\x03\x04",
        b"1.2.3.4",
        ("1.2.3.4", 24),
        [],
        ip_network("1.2.3.0/24"),
    ],
    ids=repr,
)
def test_parse_address__refuses_what_is_not_one_address(value):
    with pytest.raises(InvalidAddress) as refusal:
        parse_address(value)
    message = str(refusal.value)
    assert message.endswith("is not an IP address")
    assert "\n" not in message
    assert len(message) < 80


def test_invalid_address__is_a_value_error_without_a_chain():
    with pytest.raises(ValueError, match=r"^'x' is not an IP address$") as refusal:
        parse_address("x")
    assert refusal.value.__suppress_context__


@pytest.mark.parametrize("parse", [parse_address, parse_network])
@pytest.mark.parametrize("text", ["1", " ", "1.", ":", "a:"], ids=repr)
def test_parse__refuses_ten_megabytes_at_once_and_in_few_words(parse, text):
    huge = text * (10_000_000 // len(text))
    started = time.thread_time()
    with pytest.raises(InvalidAddress) as refusal:
        parse(huge)
    assert time.thread_time() - started < 0.05
    assert len(str(refusal.value)) < 80


@pytest.mark.parametrize(("network", "reason"), NETWORKS, ids=str)
def test_special_reason__of_each_network_at_its_edges(network, reason):
    first, last = network.network_address, network.broadcast_address
    assert special_reason(first) == reason
    assert special_reason(last) == reason
    assert special_reason(first + (int(last) - int(first)) // 2) == reason


@pytest.mark.parametrize("network", [network for network, _ in NETWORKS], ids=str)
def test_special_reason__just_outside_each_network(network):
    """It is public there, or it belongs to a neighbour, or to the IPv6 that is not given out."""
    kind = type(network.network_address)
    before, after = int(network.network_address) - 1, int(network.broadcast_address) + 1
    for number in (before, after):
        if not 0 <= number < 2**network.max_prefixlen:
            continue
        address = kind(number)
        neighbours = [why for other, why in NETWORKS if address in other]
        unassigned = address.version == 6 and address not in ip_network("2000::/3")
        assert special_reason(address) == (
            neighbours[0] if neighbours else "reserved" if unassigned else ""
        )


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("10.1.2.3", "private"),
        ("192.168.1.1", "private"),
        ("172.31.255.255", "private"),
        ("172.32.0.0", ""),
        ("100.63.255.255", ""),
        ("100.64.0.0", "shared"),
        ("127.0.0.1", "loopback"),
        ("169.254.1.1", "link_local"),
        ("0.0.0.0", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("203.0.113.7", "documentation"),
        ("8.8.8.8", ""),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::2", "reserved"),
        ("fc00::1", "private"),
        ("fe80::1", "link_local"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("4000::", "reserved"),
        ("64:ff9b::1", "unspecified"),
        ("64:ff9b::a00:1", "private"),
        ("64:ff9b::909:909", ""),
        ("64:ff9b:2::1", "reserved"),
        ("1fff:ffff::", "reserved"),
        ("2000::", ""),
        ("2a02:6b8::1", ""),
        ("::ffff:10.0.0.1", "private"),
    ],
)
def test_special_reason__of_well_known_addresses(address, reason):
    assert special_reason(parse_address(address)) == reason


def test_special_reason__the_networks_do_not_overlap():
    for index, (network, _) in enumerate(NETWORKS):
        for other, _ in NETWORKS[index + 1 :]:
            assert network.version != other.version or not network.overlaps(other)


def test_special_reason__agrees_with_the_ipaddress_module():
    for address in random_addresses(3000):
        reason = special_reason(address)
        if address.is_global and (address.version == 4 or address in ip_network("2000::/3")):
            # 224.0.0.0/4 and a few more are "global" there.
            assert bool(reason) == is_listed(address), address
        if not reason:
            # Globally reachable by nobody, but answered by databases: Teredo and 6to4.
            tunnels = ("2001::/23", "2002::/16")
            assert address.is_global or any(
                address.version == 6 and address in ip_network(tunnel) for tunnel in tunnels
            ), address


def test_sort_key__sorts_as_addresses_do():
    addresses = sorted(random_addresses(500), key=lambda one: (one.version, int(one)))
    for version in (4, 6):
        same = [one for one in addresses if one.version == version]
        assert [sort_key(one) for one in same] == sorted(map(sort_key, same))
    assert sort_key(ip_address("9.0.0.0")) < sort_key(ip_address("10.0.0.0"))


def test_sort_key__is_32_digits_and_one_an_address():
    keys = {sort_key(address) for address in random_addresses(300)}
    assert len(keys) == 900
    assert {len(key) for key in keys} == {32}
    assert sort_key(ip_address("1.2.3.4")) == "00000000000000000000ffff01020304"
    assert sort_key(IPv6Address("::ffff:1.2.3.4")) == sort_key(IPv4Address("1.2.3.4"))


def test_public_text__is_what_parsing_and_the_registries_say():
    for address in random_addresses(2000):
        expected = "" if special_reason(address) else str(address)
        assert public_text(address) == public_text(str(address)) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" 81.2.69.142\n", "81.2.69.142"),
        ("::ffff:81.2.69.142", "81.2.69.142"),
        ("2A02:06B8::0001", "2a02:6b8::1"),
        ("10.0.0.1", ""),
        ("fe80::1%eth0", ""),
        ("::ffff:10.0.0.1", ""),
    ],
)
def test_public_text__of_each_spelling(value, text):
    assert public_text(value) == text


def test_public_text__is_plain_text():
    assert type(public_text(SafeString("81.2.69.142"))) is str


@pytest.mark.parametrize(
    "value", ["", "1.2.3", "1.2.3.4\0", "01.2.3.4", "x" * 200, b"1.2.3.4", None]
)
def test_public_text__of_what_is_no_address(value):
    with pytest.raises(InvalidAddress):
        public_text(value)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("1.2.3.4/24", "1.2.3.0/24"),
        (" 1.2.3.0/24 ", "1.2.3.0/24"),
        ("1.2.3.4", "1.2.3.4/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2A02:6B8::1/32", "2a02:6b8::/32"),
        ("::1", "::1/128"),
        ("1.2.3.4/255.255.255.0", "1.2.3.0/24"),
    ],
)
def test_parse_network__drops_host_bits(text, network):
    assert str(parse_network(text)) == network


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("::ffff:127.0.0.1/128", "127.0.0.1/32"),
        ("::FFFF:8.8.8.8/120", "8.8.8.0/24"),
        ("::ffff:8.8.8.8", "8.8.8.8/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:0:0/95", "::fffe:0:0/95"),
        ("::/0", "::/0"),
    ],
)
def test_parse_network__is_never_ipv4_mapped(text, network):
    assert str(parse_network(text)) == network


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1.2.3.4/33",
        "::/129",
        "1.2.3.4/-1",
        "1.2.3.0/24/24",
        "1.2.3.4/\u0662\u0664",
        "1.2.3.4/24\0",
    ],
    ids=repr,
)
def test_parse_network__refuses_what_is_not_a_network(text):
    with pytest.raises(InvalidAddress, match=r"is not a network$"):
        parse_network(text)


def test_networks_around__hold_the_address_narrowest_first():
    for text, narrowest, widest, count in (
        ("81.2.69.142", "81.2.69.142/32", "81.0.0.0/8", 25),
        ("2a02:6b8::1", "2a02:6b8::1/128", "2a00::/12", 117),
    ):
        address = ip_address(text)
        around = networks_around(address)
        assert (around[0], around[-1], len(around)) == (narrowest, widest, count)
        assert all(address in ip_network(network) for network in around)


@pytest.mark.parametrize(
    "text",
    [
        "255.255.255.255",
        "2a02:0:0:1::1:0",
        "2001:0:1:0:1:0:1:0",
        "::102:304",
        "0:1::",
        "1::102:304",
    ],
)
def test_networks_around__are_written_as_the_standard_library_does(text):
    around = networks_around(ip_address(text))
    assert around == [str(ip_network(network)) for network in around]
    assert around == [
        str(ip_network((text, int(network.rpartition("/")[2])), strict=False)) for network in around
    ]


@pytest.mark.parametrize(
    ("network", "length"), [("81.2.69.0/24", 24), ("2a02::/16", 16), ("", 128)]
)
def test_prefix_length__of_no_network_is_that_of_one_address(network, length):
    assert prefix_length(network) == length


@pytest.mark.parametrize(
    "text",
    ["81.2.69.142", "0.0.0.0", "255.255.255.255", "2A02:6B8::0001", "::ffff:1.2.3.4", " 1.1.1.1"],
)
def test_normalised_and_key__are_those_of_the_address(text):
    address = parse_address(text)
    assert normalised_and_key(text) == (str(address), sort_key(address))


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4\0", "1.2.3.\uff14", "x" * 200]
)
def test_normalised_and_key__refuses_what_is_no_address(text):
    with pytest.raises(InvalidAddress):
        normalised_and_key(text)


@pytest.mark.parametrize("value", [None, 5, b"10.0.0.0/8", [], ["10.0.0.0/8"], {}])
@pytest.mark.parametrize("parse", [parse_address, parse_network])
def test_parse__other_types_are_refused_in_one_way(parse, value):
    with pytest.raises(InvalidAddress):
        parse(value)


# --- IPv4 in NAT64 -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("64:ff9b::909:909", "9.9.9.9"),
        ("64:FF9B::9.9.9.9", "9.9.9.9"),
        ("64:ff9b::a00:1", "10.0.0.1"),
        ("64:ff9b:1::909:909", "9.9.9.9"),
        ("64:ff9b:1:abcd::909:909", "9.9.9.9"),
        ("64:ff9b:1:ffff:ff:ffff:909:909", "9.9.9.9"),
        # IPv4 further to the left, or not at all; other prefixes.
        ("64:ff9b:1:0:9:909:900:0", "64:ff9b:1:0:9:909:900:0"),
        ("64:ff9b:1:909:9:900::", "64:ff9b:1:909:9:900::"),
        ("64:ff9b:1:0:900::909:909", "64:ff9b:1:0:900:0:909:909"),
        ("64:ff9b:0:1::909:909", "64:ff9b:0:1::909:909"),
        ("64:ff9b:2::909:909", "64:ff9b:2::909:909"),
        ("2002:909:909::", "2002:909:909::"),
    ],
)
def test_parse_address__nat64_is_the_ipv4_address_inside_it(text, address):
    assert normalise(text) == address
    assert normalise(IPv6Address(text)) == address
    assert normalised_and_key(text) == (address, sort_key(parse_address(address)))


def test_public_text__nat64():
    assert public_text("64:ff9b::909:909") == "9.9.9.9"
    assert public_text("64:ff9b::a00:1") == ""


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("64:ff9b::909:900/120", "9.9.9.0/24"),
        ("64:ff9b::a00:0/104", "10.0.0.0/8"),
        ("64:ff9b::909:909/128", "9.9.9.9/32"),
        ("64:ff9b:1::909:900/120", "9.9.9.0/24"),
        # A whole prefix stands for no network of IPv4: trusted, it would be all of it.
        ("64:ff9b::/96", "64:ff9b::/96"),
        ("64:ff9b:1::/96", "64:ff9b:1::/96"),
        ("64:ff9b:1::/48", "64:ff9b:1::/48"),
    ],
)
def test_parse_network__nat64(text, network):
    assert str(parse_network(text)) == network
