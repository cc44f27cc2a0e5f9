"""Each index of the answers and the query that needs it."""

import re
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from django.db import connection

from geocache.models import GeoCache
from geocache.models.answers import UNRESOLVED
from geocache.web.pagination import ORDERS
from tests.factories import NOON, many_locations

# MariaDB commits what was written before it analyzes a table.
pytestmark = pytest.mark.django_db(transaction=True)

NEWEST = ORDERS["newest"]
BY_ADDRESS = ORDERS["address"]
# Where the primary key is in the order of addresses.
IN_ORDER = "geocache_pkey" if connection.vendor == "postgresql" else "geocache_sort_key"


@pytest.fixture
def rows():
    """Rows of which each value has few."""
    GeoCache.objects.upsert(
        one
        for number in range(4_000)
        for one in many_locations(
            number + 1,
            number,
            network=f"20.{number >> 16}.{number >> 8 & 255}.{number & 255}/32",
            country_code=f"{chr(65 + number % 26)}{chr(65 + number // 26 % 4)}",
            asn=number % 150,
            source=f"source {number % 90}",
            reason="" if number % 80 else "not_found",
            traits=() if number % 90 else ("anonymous", "anonymous_vpn"),
            user_type="" if number % 40 else ("residential" if number % 80 else "business"),
            connection_type="" if number % 40 else ("Cellular" if number % 80 else "Corporate"),
            resolved_at=NOON + timedelta(minutes=number * 7919 % 4_000),
        )
    )
    with connection.cursor() as cursor:
        table = "TABLE " if connection.vendor == "mysql" else ""
        cursor.execute(f"ANALYZE {table}geocache_geocache")
    return GeoCache.objects.all()


QUERIES = {
    "network": ("geocache_network", lambda rows: rows.covering([ip_address("20.0.1.1")])),
    "day": (
        "geocache_resolved_at",
        lambda rows: rows.filter(resolved_at__gte=NOON + timedelta(minutes=3_990)),
    ),
    "newest": ("geocache_resolved_at", lambda rows: rows.order_by(*NEWEST)[:50]),
    "country": (
        "geocache_country",
        lambda rows: rows.filter(country_code="BA").order_by(*NEWEST)[:10],
    ),
    "operator": ("geocache_asn", lambda rows: rows.filter(asn=7).order_by(*NEWEST)[:5]),
    "source": (
        "geocache_source",
        lambda rows: rows.filter(source__range=("source 7", "source 7")).order_by(
            "-source", *NEWEST
        )[:10],
    ),
    "country by address": (
        "geocache_country_sort",
        lambda rows: rows.filter(country_code="BA").order_by(*BY_ADDRESS)[:10],
    ),
    "operator by address": (
        "geocache_asn_sort",
        lambda rows: rows.filter(asn=7).order_by(*BY_ADDRESS)[:5],
    ),
    "in a network": (IN_ORDER, lambda rows: rows.in_network(ip_network("20.0.1.0/28"))),
    "by address": (IN_ORDER, lambda rows: rows.order_by(*BY_ADDRESS)[:50]),
    "unresolved": (
        "geocache_unresolved",
        lambda rows: rows.filter(UNRESOLVED).order_by(*NEWEST)[:10],
    ),
    "trait": ("geocache_traits", lambda rows: rows.with_trait("anonymous_vpn").order_by(*NEWEST)),
    "user type": (
        "geocache_user_type",
        lambda rows: rows.with_user_type("residential").order_by(*NEWEST)[:10],
    ),
    "connection type": (
        "geocache_connection",
        lambda rows: rows.with_connection_type("Cellular").order_by(*NEWEST)[:10],
    ),
    "unresolved by address": (
        "geocache_unresolved_sort",
        lambda rows: rows.filter(UNRESOLVED).order_by(*BY_ADDRESS)[:10],
    ),
}


def names_of_indexes():
    return {index.name for index in GeoCache._meta.indexes}


def partial_indexes():
    return {index.name for index in GeoCache._meta.indexes if index.condition}


def test_indexes__each_is_needed():
    assert {name for name, _ in QUERIES.values()} | {"geocache_sort_key"} == (
        names_of_indexes() | {IN_ORDER}
    )


def test_indexes__each_query_has_its_own(rows):
    plans = {what: (name, query(rows).explain()) for what, (name, query) in QUERIES.items()}
    if connection.vendor == "mysql":
        # It has no partial indexes.
        plans = {what: plan for what, plan in plans.items() if plan[0] not in partial_indexes()}
    wrong = {what: plan for what, plan in plans.items() if not uses(*plan)}
    assert not wrong


def uses(name, plan):
    # A name may be the beginning of another.
    return re.search(rf"(?<![a-z]){name}(?![a-z_])", plan)


def test_order__of_one_moment_is_by_address(rows):
    at = NOON + timedelta(days=9)
    GeoCache.objects.upsert(many_locations(60, resolved_at=at))

    newest = [row.address for row in rows.order_by(*NEWEST)[:60]]

    expected = [one.address for one in many_locations(60)]
    if connection.vendor == "postgresql":
        assert newest == expected[::-1]
    else:
        assert newest == sorted(expected, reverse=True)


def test_pages__are_in_the_order_of_addresses(rows):
    pages = list(rows.filter(asn=7).pages("address", size=10))
    found = [address for page in pages for (address,) in page]
    assert [len(page) for page in pages] == [10, 10, 7]
    assert found == sorted(found, key=ip_address)
