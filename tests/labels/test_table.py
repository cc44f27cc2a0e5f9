import random
from ipaddress import ip_address, ip_network

import pytest

from geocache.labels import counts, give_label, rows_with, table
from geocache.models import GeoCache, ImportSource
from tests.factories import a_location
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db

ENTRIES = (
    *("81.2.69.142", "81.2.0.0/20", "81.2.69.128/27", "81.2.69.130/31", "9.0.0.0/8", "12.0.0.0/7"),
    *("2a01::/17", "2a01:0:0:8000::/49", "2a02::1", "2a02::2/127", "::/8", "::/3", "255.0.0.0/9"),
)


@pytest.fixture(autouse=True)
def _unasked(monkeypatch):
    # What is on the lists is not looked up: the rows of a test are its own.
    monkeypatch.setattr("geocache.blocklists.apply.locate", lambda _: None)


def rows_of(addresses):
    GeoCache.objects.upsert(a_location(str(address)) for address in addresses)


def near(entries):
    """Addresses at the ends of networks, and beside them."""
    found = set()
    for network in map(ip_network, entries):
        for number in (int(network[0]), int(network[-1])):
            steps = (number + step for step in (-1, 0, 1))
            found.update(type(network[0])(n) for n in steps if 0 <= n < 2**network.max_prefixlen)
    return found | {ip_address("81.2.69.142"), ip_address("10.0.0.0")}


def listed(entries, addresses):
    networks = [ip_network(one) for one in entries]
    return {
        str(address)
        for address in addresses
        if any(address.version == one.version and address in one for one in networks)
    }


def found(label, rows=None):
    rows = GeoCache.objects.all() if rows is None else rows
    return {*rows_with(rows, label).values_list("address", flat=True)}


@pytest.mark.parametrize(
    ("few", "many", "many_rows"),
    [(10**6, 10**6, 0), (1, 10**6, 10**6), (1, 10**6, 0), (0, 0, 0)],
    ids=["ranges", "found", "collected", "asked"],
)
def test_rows_with__are_those_on_the_lists_and_in_their_networks(few, many, many_rows, monkeypatch):
    monkeypatch.setattr(table, "FEW_ENTRIES", few)
    monkeypatch.setattr(table, "MANY_ENTRIES", many)
    monkeypatch.setattr(table, "MANY_ROWS", many_rows)
    addresses = near(ENTRIES)
    rows_of(addresses)
    imported(*ENTRIES[:6], name="one")
    imported(*ENTRIES[6:], "81.2.69.142", name="two")
    imported("10.0.0.0", name="other")
    for name, label in (("one", "vpn"), ("two", "vpn"), ("other", "tor")):
        give_label(name, label)
    assert found("vpn") == listed(ENTRIES, addresses)
    assert found("tor") == {"10.0.0.0"}
    assert found("cloud") == set()
    some = GeoCache.objects.filter(address__in=["81.2.69.142", "10.0.0.0"])
    assert found("vpn", some) == {"81.2.69.142"}


@pytest.mark.parametrize("many", [10**6, 0], ids=["collected", "asked"])
def test_rows_with__list_of_addresses_alone(many, monkeypatch):
    monkeypatch.setattr(table, "FEW_ENTRIES", 0)
    monkeypatch.setattr(table, "MANY_ENTRIES", many)
    rows_of(["1.1.1.1", "2.2.2.2", "2a02::1"])
    imported("2.2.2.2", "2a02::1", "3.3.3.3", name="one")
    give_label("one", "vpn")
    assert found("vpn") == {"2.2.2.2", "2a02::1"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("many_rows", [10**6, 0], ids=["found", "walked"])
def test_rows_with__says_what_the_index_says(seed, many_rows, monkeypatch):
    monkeypatch.setattr(table, "FEW_ENTRIES", 3)
    monkeypatch.setattr(table, "MANY_ROWS", many_rows)
    chance = random.Random(seed)

    def some(base, *lengths):
        numbers = (base + chance.getrandbits(16) for _ in range(20))
        return {str(ip_network((n, chance.randint(*lengths)), strict=False)) for n in numbers}

    entries = some(0x5102_0000, 14, 32) | some(0x2A01 << 112, 100, 128)
    addresses = near(entries)
    rows_of(addresses)
    imported(*entries, name="one")
    give_label("one", "vpn")
    assert found("vpn") == listed(entries, addresses)
    assert counts() == {"vpn": len(listed(entries, addresses))}


def test_counts__of_each_label(django_assert_num_queries):
    rows_of(["1.1.1.1", "2.2.2.2", "2.2.2.3", "2a02::1"])
    with django_assert_num_queries(3):
        assert counts() == {}
    imported("2.2.2.2", "2a02::/16", name="one")
    imported("2.2.2.0/24", name="two")
    imported("9.9.9.9", name="three")
    for name, label in (("one", "tor"), ("two", "vpn"), ("three", "bot")):
        give_label(name, label)
    assert counts() == {"bot": 0, "tor": 2, "vpn": 2}
    ImportSource.objects.get(name="two").forget()
    assert counts() == {"bot": 0, "tor": 2}
