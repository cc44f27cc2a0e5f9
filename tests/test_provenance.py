from datetime import timedelta
from ipaddress import ip_address

import pytest
from django.utils import timezone

from geocache import budget, caches, journal, providers, store
from geocache.exceptions import JournalUnavailable
from geocache.flush import flush_dirty
from geocache.lookup import lookup
from geocache.models import GeoCache
from geocache.provenance import Provenance, Stale, Tier, trace
from tests.assertions import no_database_write
from tests.factories import LONDON, a_location, a_row, use_dummy_provider

pytestmark = pytest.mark.django_db

NEIGHBOUR = "81.2.69.7"
ANSWER = {"country_code": "GB", "network": "81.2.69.0/24"}


@pytest.fixture
def provider(settings):
    return use_dummy_provider(settings, answers={LONDON: ANSWER})


@pytest.fixture
def metered(settings):
    return use_dummy_provider(settings, answers={LONDON: ANSWER}, is_metered=True)


def traced(address: str = LONDON) -> Provenance:
    with no_database_write(max_queries=4):
        return trace(ip_address(address))


def test_trace__nothing_is_held(provider):
    known = traced()
    assert known.answer() is None
    assert known.tier == Tier.PROVIDER
    assert provider.asked == []


def test_trace__new_answer_is_hot_and_waits_in_the_journal(provider):
    answer = lookup(LONDON)
    known = traced()
    assert known.tier == Tier.HOT_ENTRY
    assert known.hot_entry == known.pending == known.answer() == answer
    assert known.row is None
    assert provider.asked == [LONDON]


@pytest.mark.usefixtures("provider")
def test_trace__flushed_answer_is_a_row_and_waits_no_more():
    lookup(LONDON)
    flush_dirty()
    known = traced()
    assert known.pending is None
    assert known.row == GeoCache.objects.get()
    assert known.tier == Tier.HOT_ENTRY


@pytest.mark.usefixtures("provider")
def test_trace__newest_answer_is_the_answer():
    row = a_row()
    newer = a_location(city="Elsewhere", resolved_at=row.resolved_at + timedelta(days=1))
    journal.append([newer, a_location("8.8.8.8")])
    assert traced().answer() == newer


@pytest.mark.usefixtures("provider")
def test_trace__answer_that_is_empty_is_one():
    lookup("8.8.8.8")
    known = traced("8.8.8.8")
    assert known.tier == Tier.HOT_ENTRY
    assert known.answer().reason == "not_found"


@pytest.mark.usefixtures("provider")
def test_trace__row_is_not_asked_where_the_provider_costs_nothing():
    a_row()
    assert traced().tier == Tier.PROVIDER


def test_trace__metered_provider_is_spared_by_a_young_row(metered):
    a_row(resolved_at=timezone.now())
    known = traced()
    assert known.tier == Tier.ROW
    assert known.is_metered
    assert metered.asked == []


def test_trace__metered_provider_is_spared_by_its_network(metered):
    a_row(NEIGHBOUR, resolved_at=timezone.now())
    known = traced()
    assert known.tier == Tier.NETWORK
    assert known.answer() is None
    assert metered.asked == []


def test_trace__metered_provider_is_never_asked(metered):
    a_row()
    assert traced().tier == Tier.PROVIDER
    assert metered.asked == []


@pytest.mark.parametrize(("is_kept", "tier"), [(True, Tier.ROW), (False, Tier.NONE)])
def test_trace__failing_provider(settings, tmp_path, is_kept, tier):
    given = {name: value for name, value in settings.GEOCACHE.items() if name != "PROVIDER"}
    settings.GEOCACHE = given | {"DATABASES": [tmp_path / "gone.mmdb"]}
    if is_kept:
        a_row()
    assert traced().tier == tier


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize("address", ["10.0.0.1", "::1"])
def test_trace__special_address_is_never_asked_for(address):
    assert traced(address).tier == Tier.SPECIAL


@pytest.mark.usefixtures("provider")
def test_trace__journal_that_cannot_be_read_is_said(monkeypatch):
    def fail(*_):
        raise JournalUnavailable("away")

    monkeypatch.setattr(journal, "find", fail)
    a_row()
    known = traced()
    assert not known.is_journal_readable
    assert known.answer() is not None


@pytest.mark.usefixtures("provider")
def test_trace__asks_no_memory_that_only_this_process_has():
    lookup(LONDON)
    store.memory.clear()
    assert traced().tier == Tier.HOT_ENTRY


@pytest.mark.usefixtures("metered")
def test_trace__a_network_that_is_not_flushed_answers_for_a_neighbour():
    lookup(LONDON)
    assert traced(NEIGHBOUR).tier == Tier.NETWORK


# --- why it is stale -----------------------------------------------------------------------------


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize(
    ("fields", "age_days", "stale"),
    [
        ({}, 1, []),
        ({}, 91, [Stale.OLDER_THAN_TTL]),
        ({"source": "Dummy 0"}, 1, [Stale.OLDER_BUILD]),
        ({"source": "Dummy 1, Dummy 0"}, 1, [Stale.OLDER_BUILD]),
        ({"source": ""}, 1, []),
        ({"reason": "not_found"}, 0.9, []),
        ({"reason": "not_found"}, 2, [Stale.OLDER_THAN_TTL]),
        ({"source": "Dummy 0"}, 91, [Stale.OLDER_BUILD, Stale.OLDER_THAN_TTL]),
    ],
)
def test_stale__says_why(fields, age_days, stale):
    now = timezone.now()
    a_row(resolved_at=now - timedelta(days=age_days), **fields)
    assert traced().stale(now) == stale


@pytest.mark.usefixtures("provider")
def test_stale__a_new_build_makes_the_answer_stale_at_once(settings):
    lookup(LONDON)
    flush_dirty()
    assert traced().stale(timezone.now()) == []
    use_dummy_provider(settings, answers={LONDON: ANSWER}, version="2")
    known = traced()
    assert known.stale(timezone.now()) == [Stale.OLDER_BUILD]
    assert known.tier == Tier.PROVIDER


def test_stale__provider_that_fails_is_a_reason_only_where_there_is_an_answer(settings, tmp_path):
    given = {name: value for name, value in settings.GEOCACHE.items() if name != "PROVIDER"}
    settings.GEOCACHE = given | {"DATABASES": [tmp_path / "gone.mmdb"]}
    assert traced().stale(timezone.now()) == []
    a_row(resolved_at=timezone.now())
    known = traced()
    assert known.stale(timezone.now()) == [Stale.PROVIDER_FAILS]
    assert "gone.mmdb" in known.plan.failure


# --- what it costs -------------------------------------------------------------------------------


def plain(address=LONDON):
    return traced(address).to_plain(timezone.now())


def test_plan__a_free_provider_costs_nothing(provider):
    assert (traced().plan.usage, plain()["queries"]) == (None, 0)
    assert provider.asked == []


def test_plan__a_known_network_is_named(metered):
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


@pytest.mark.parametrize(("limit", "tier"), [(None, Tier.PROVIDER), (5, Tier.NONE)])
def test_plan__without_the_cache_only_those_without_a_limit_are_asked(
    settings, monkeypatch, limit, tier
):
    use_dummy_provider(settings, is_metered=True, queries_per_day=limit)

    def fail(*_):
        raise ConnectionError

    monkeypatch.setattr(budget, "usages", fail)
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
    return providers.current().members


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


@pytest.mark.usefixtures("provider")
def test_trace__key_is_the_one_in_the_cache():
    lookup(LONDON)
    known = traced()
    assert known.build == providers.current().build()
    backend = caches.current()
    prefix = backend.make_key("")
    assert known.key.startswith(prefix)
    assert backend.get(known.key.removeprefix(prefix)) is not None
