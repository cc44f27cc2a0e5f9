"""What a look-up would do, as ``provenance.trace`` tells it."""

from ipaddress import ip_address

import pytest
from django.utils import timezone

from geocache.exceptions import CacheUnavailable
from geocache.lookup import lookup
from geocache.lookup.explain import Provenance, trace
from geocache.lookup.plan import Tier
from geocache.providers import factory, quota
from geocache.providers.dummy import DummyProvider
from tests.factories import LONDON, a_row, use_dummy_provider
from tests.support.assertions import no_database_write

pytestmark = pytest.mark.django_db

NEIGHBOUR = "81.2.69.7"
ANSWER = {"country_code": "GB", "network": "81.2.69.0/24"}


def traced(address: str = LONDON) -> Provenance:
    with no_database_write(max_queries=4):
        return trace(ip_address(address))


def plain(address=LONDON):
    return traced(address).to_plain(timezone.now())


def test_plan__a_free_provider_costs_nothing(settings):
    provider = use_dummy_provider(settings, answers={LONDON: ANSWER})
    assert (traced().plan.usage, plain()["queries"]) == (None, 0)
    assert provider.asked == []


def test_plan__a_known_network_is_named(settings):
    metered = use_dummy_provider(settings, is_metered=True)
    a_row(NEIGHBOUR, resolved_at=timezone.now())
    told = plain()
    assert (told["tier"], told["known_network"], told["queries"]) == ("network", "81.2.69.0/24", 0)
    assert metered.asked == []


def test_plan__one_query_and_what_is_left(settings):
    provider = use_dummy_provider(settings, is_metered=True, queries_per_day=10)
    for n in range(3):
        lookup(f"9.9.{n}.9")
    told = plain()
    assert (told["queries"], told["asks"], told["left_today"]) == (1, "Dummy 1", 7)
    assert len(provider.asked) == 3


def test_plan__the_service_itself_may_have_less_left(settings):
    provider = use_dummy_provider(settings, is_metered=True, queries_per_day=10)
    provider.queries_remaining = 2
    lookup("9.9.9.9")
    assert plain()["left_today"] == 2


def test_plan__a_service_with_nothing_left_is_asked_all_the_same(settings):
    provider = use_dummy_provider(settings, is_metered=True)
    provider.queries_remaining = 0
    lookup("9.9.9.9")
    told = plain()
    assert (told["queries"], told["left_today"]) == (1, 0)


@pytest.mark.parametrize(("is_kept", "tier"), [(True, Tier.ROW), (False, Tier.NONE)])
def test_plan__nothing_is_left_of_today(settings, is_kept, tier):
    use_dummy_provider(settings, is_metered=True, queries_per_day=0)
    if is_kept:
        a_row()
    known = traced()
    assert known.tier == tier
    assert known.plan.usage is None
    assert known.plan.failure == "nothing is left of today's queries"


class Resting(DummyProvider):
    rest_seconds = 47.0


@pytest.mark.parametrize(("is_kept", "tier"), [(True, Tier.ROW), (False, Tier.NONE)])
def test_plan__a_service_that_wants_to_be_left_alone(settings, is_kept, tier):
    use_dummy_provider(settings, is_metered=True)
    quota.share(Resting(is_metered=True))
    if is_kept:
        a_row()
    known = traced()
    assert known.tier == tier
    assert known.plan.failure == "the service has asked to be left alone for a while"


@pytest.mark.parametrize(("limit", "tier"), [(None, Tier.PROVIDER), (5, Tier.NONE)])
def test_plan__without_the_cache_only_those_without_a_limit_are_asked(
    settings, monkeypatch, limit, tier
):
    use_dummy_provider(settings, is_metered=True, queries_per_day=limit)

    def fail(*_):
        raise CacheUnavailable

    monkeypatch.setattr(quota, "usages", fail)
    assert traced().tier == tier


def use_chain(settings, *members):
    backend = "geocache.providers.dummy.DummyProvider"
    chained = [{"BACKEND": backend, "OPTIONS": options} for options in members]
    settings.GEOCACHE = {
        **settings.GEOCACHE,
        "PROVIDER": {
            "BACKEND": "geocache.providers.chain.ChainProvider",
            "OPTIONS": {"providers": chained},
        },
    }
    return factory.current().members


FREE = {"name": "Free", "answers": {LONDON: ANSWER}}
SPENT = {"name": "Spent", "is_metered": True, "queries_per_day": 0}
PAID = {"name": "Paid", "is_metered": True, "queries_per_day": 5}


@pytest.mark.parametrize(
    ("members", "address", "asks"),
    [
        ((FREE, PAID), LONDON, ""),
        ((FREE, PAID), "9.9.9.9", "Paid 1"),
        ((SPENT, PAID), LONDON, "Paid 1"),
        ((SPENT, FREE), LONDON, ""),
    ],
)
def test_plan__of_a_chain_is_the_first_that_can_be_asked(settings, members, address, asks):
    *_, last = use_chain(settings, *members)
    told = plain(address)
    assert (told["tier"], told["asks"], told["failure"]) == ("provider", asks, "")
    assert not last.is_metered or last.asked == []


def test_plan__of_a_chain_in_which_all_is_spent(settings):
    use_chain(settings, SPENT, SPENT)
    assert plain()["failure"] == "nothing is left of today's queries"
