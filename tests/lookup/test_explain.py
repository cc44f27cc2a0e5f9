from datetime import timedelta
from ipaddress import ip_address

import pytest
from django.utils import timezone

from geocache.cache import backends
from geocache.exceptions import JournalUnavailable
from geocache.journal import backlog, writer
from geocache.journal.flush import flush_dirty
from geocache.lookup import lookup
from geocache.lookup.explain import Provenance, Stale, trace
from geocache.lookup.memory import memory
from geocache.lookup.plan import Tier
from geocache.models import GeoCache
from geocache.providers import factory
from tests.factories import LONDON, a_location, a_row, use_dummy_provider
from tests.support.assertions import no_database_write

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
    writer.append([newer, a_location("8.8.8.8")])
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

    monkeypatch.setattr(backlog, "find", fail)
    a_row()
    known = traced()
    assert not known.is_journal_readable
    assert known.answer() is not None


@pytest.mark.usefixtures("provider")
def test_trace__asks_no_memory_that_only_this_process_has():
    lookup(LONDON)
    memory.clear()
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


@pytest.mark.usefixtures("provider")
def test_trace__key_is_the_one_in_the_cache():
    lookup(LONDON)
    known = traced()
    assert known.build == factory.current().build()
    backend = backends.current()
    prefix = backend.make_key("")
    assert known.key.startswith(prefix)
    assert backend.get(known.key.removeprefix(prefix)) is not None
