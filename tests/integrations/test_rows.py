from ipaddress import IPv4Address, ip_interface, ip_network

import pytest
from django.utils.functional import SimpleLazyObject

from geocache.integrations.rows import attach_locations
from geocache.lookup import tiers
from tests.factories import LONDON
from tests.visits.models import Visit


@pytest.fixture(autouse=True)
def places(override_locations):
    return override_locations({LONDON: {"country_code": "GB"}})


def test_geo_for__gives_each_row_its_answer(places):
    rows = attach_locations(
        [Visit(ip=LONDON), Visit(ip="8.8.8.8"), Visit(ip=f"::ffff:{LONDON}")], "ip"
    )
    assert [row.geo.country_code for row in rows] == ["GB", "", "GB"]
    assert sorted(places.looked_up) == ["8.8.8.8", LONDON]


@pytest.mark.parametrize("value", [None, "", "nonsense", "192.0.2.0/24", "\0", 7])
def test_geo_for__what_is_no_address_has_none(value):
    (row,) = attach_locations([{"ip": value}], "ip")
    assert row == {"ip": value, "geo": None}


@pytest.mark.parametrize(
    "value",
    [
        ip_interface(f"{LONDON}/24"),
        ip_network(f"{LONDON}/32"),
        IPv4Address(LONDON),
        f" {LONDON} ",
        SimpleLazyObject(lambda: LONDON),
    ],
)
def test_geo_for__what_a_driver_gives_for_an_address_is_one(value):
    rows = attach_locations([{"ip": value}, {"ip": "nonsense"}, {"ip": b"\x08\x08\x08\x08"}], "ip")
    assert [row["geo"] and row["geo"].country_code for row in rows] == ["GB", None, None]


def test_geo_for__dicts_and_another_name():
    (row,) = attach_locations(({"sender": LONDON},), "sender", name="sender_geo")
    assert row["sender_geo"].country_code == "GB"


def test_geo_for__no_rows():
    assert attach_locations([], "ip") == []


@pytest.mark.django_db
def test_geo_for__page_of_rows_is_one_batch(monkeypatch, django_assert_num_queries):
    Visit.objects.bulk_create([Visit(ip=f"20.0.0.{n}") for n in range(100)])
    batches = []
    locate = tiers.locate_texts
    monkeypatch.setattr(tiers, "locate_texts", lambda asked: batches.append(asked) or locate(asked))
    with django_assert_num_queries(1):
        rows = attach_locations(Visit.objects.all(), "ip")
    assert [len(batch) for batch in batches] == [100]
    assert all(row.geo is not None for row in rows)
