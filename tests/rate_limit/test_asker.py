"""What strangers can cost: each limit of its own, the API and the page together."""

import pytest
from django.test import Client

from geocache.journal import backlog
from geocache.lookup import lookup_many
from geocache.lookup.plan import payable_count
from tests.factories import LONDON, a_row, a_stranger, a_token, a_viewer, use_dummy_provider
from tests.support.assertions import assert_is_page

pytestmark = [pytest.mark.cache_decides, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def provider(settings):
    settings.GEOCACHE = {
        **settings.GEOCACHE,
        "PUBLIC_LOOKUP": True,
        "PUBLIC_LOOKUP_RATE": "10/hour",
        "PUBLIC_TOTAL_RATE": "1000/hour",
        "PUBLIC_QUERY_RATE": "5/day",
        "LOOKUP_RATE": "50/hour",
    }
    return use_dummy_provider(settings, is_metered=True)


def use(settings, **given):
    settings.GEOCACHE = {**settings.GEOCACHE, **given}
    return use_dummy_provider(settings, is_metered=given.pop("is_metered", False))


def addresses(count, first=0):
    return [f"20.0.{n >> 8}.{n & 255}" for n in range(first, first + count)]


def by_page(client, asked, **extra):
    return client.post("/lookup/", {"addresses": "\n".join(asked)}, **extra).status_code


def by_link(client, asked, **extra):
    return client.get("/lookup/", {"ip": asked}, **extra).status_code


def by_api(client, asked, **extra):
    return client.post(
        "/api/lookup", {"addresses": asked}, content_type="application/json", **extra
    ).status_code


def one_by_api(client, asked, **extra):
    return [client.get(f"/api/lookup/{one}", **extra).status_code for one in asked][-1]


DOORS = [by_page, by_link, by_api, one_by_api]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("other", DOORS)
def test_visitor__is_counted_by_addresses_at_all_doors_together(client, settings, door, other):
    provider = use(settings)
    assert door(client, addresses(6)) == 200
    asked_count = len(provider.asked)
    assert other(client, addresses(6, first=6)) == 429 or other is one_by_api
    assert other(client, addresses(6, first=6)) == 429
    assert len(provider.asked) <= max(10, asked_count)
    assert other(client, addresses(1), REMOTE_ADDR="192.0.2.7") == 200


def test_visitor__page_says_how_long_to_wait(client, settings):
    use(settings)
    by_page(client, addresses(10))
    response = client.get("/lookup/", {"ip": LONDON})
    assert_is_page(response, 429)
    assert 0 < int(response["Retry-After"]) <= 3600
    assert "Try again in" in response.text


def test_visitor__more_than_the_limit_at_once_is_said(client, settings):
    provider = use(settings)
    response = client.post("/lookup/", {"addresses": "\n".join(addresses(11))})
    assert "at most 10 are allowed" in response.text
    assert by_api(client, addresses(11)) == 413
    assert provider.asked == []
    # Of both requests only their reading was counted.
    assert by_page(client, addresses(8)) == 200


@pytest.mark.parametrize("who", [None, a_stranger])
def test_visitor__of_a_64_is_one_and_logging_in_does_not_help(client, settings, who):
    use(settings)
    if who:
        client.force_login(who())
    assert by_page(client, addresses(10), REMOTE_ADDR="2001:db8::1") == 200
    assert by_page(client, addresses(1), REMOTE_ADDR="2001:db8::2") == 429
    assert by_page(Client(), addresses(1), REMOTE_ADDR="2001:db8::3") == 429
    assert by_page(client, addresses(1), REMOTE_ADDR="2001:db8:0:1::1") == 200


def test_visitors__rows_of_all_together_are_bounded(client, settings):
    """Three connections added 138,000 addresses of one /64 in 20 seconds."""
    use(settings, PUBLIC_TOTAL_RATE="25/day")
    statuses = [
        by_page(client, addresses(10, first=10 * n), REMOTE_ADDR=f"2001:db8:0:{n:x}::1")
        for n in range(5)
    ]
    assert statuses == [200, 200, 429, 429, 429]
    assert backlog.read_backlog().answer_count == 20


def test_visitors__text_without_addresses_costs_its_reading(client, settings):
    use(settings)
    text = {"addresses": "word " * 19_999}
    statuses = [client.post("/lookup/", text).status_code for _ in range(3)]
    assert statuses[-1] == 429


@pytest.mark.parametrize("door", [by_page, by_api])
def test_visitors__paid_queries_of_a_day_are_bounded(client, provider, door):
    assert door(client, addresses(4)) == 200
    assert door(client, addresses(4, first=4), REMOTE_ADDR="192.0.2.7") == 429
    assert len(provider.asked) == 4
    # What is known costs nothing.
    assert door(client, addresses(4), REMOTE_ADDR="192.0.2.8") == 200


def test_user__has_the_limit_of_users_and_no_part_in_that_of_visitors(client, provider):
    by_page(client, addresses(5))
    token = a_token(a_viewer())
    program = Client(headers={"Authorization": f"Bearer {token}"})
    assert by_api(program, addresses(40, first=5)) == 200
    assert len(provider.asked) == 45
    assert by_api(program, addresses(11)) == 429
    browser = Client()
    browser.force_login(a_viewer_again())
    assert by_page(browser, addresses(11)) == 429


def a_viewer_again():
    return type(a_stranger()).objects.get(username="viewer")


def test_payable_count__is_what_a_look_up_would_pay_for(provider):
    a_row("20.0.0.1", network="")
    lookup_many(["20.0.0.2"])
    asked = ["20.0.0.1", "20.0.0.2", "20.0.0.3", "::ffff:20.0.0.3", "10.0.0.1"]
    assert payable_count(asked) in (1, 2)
    provider.is_metered = False
    assert payable_count(asked) == 0
