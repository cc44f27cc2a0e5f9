import asyncio
import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import pytest

from geocache.exceptions import InvalidAddress, ProviderError
from geocache.journal.flush import flush_dirty
from geocache.location import NOT_FOUND, UNAVAILABLE
from geocache.log_throttle import LogThrottle
from geocache.lookup import alookup, alookup_many, hot_entries, lookup, lookup_many
from geocache.lookup import tiers as lookup_module
from geocache.lookup.memory import memory
from geocache.lookup.single_flight import SingleFlight
from geocache.models import GeoCache
from geocache.providers import factory, quota
from tests.factories import LONDON, MOSCOW_V6, a_location, a_row
from tests.support.metered_provider import asked, configured, use_tallying_provider
from tests.support.processes import start_script, stop, wait_until

pytestmark = [pytest.mark.cache_decides, pytest.mark.django_db(transaction=True)]

NEIGHBOUR = "81.2.69.7"


@pytest.fixture(autouse=True)
def not_said_yet(monkeypatch):
    monkeypatch.setattr(lookup_module, "provider_down", LogThrottle(seconds=60))


@pytest.fixture
def tally(tmp_path):
    return tmp_path / "tally"


# --- networks ----------------------------------------------------------------------------------


def test_resolve__an_address_in_a_network_answered_a_moment_ago_costs_nothing(settings, tally):
    use_tallying_provider(settings, tally)
    lookup(LONDON)
    answer = lookup(NEIGHBOUR)
    assert (answer.address, answer.city) == (NEIGHBOUR, "81.2.69.0/24")
    assert asked(tally) == [LONDON]
    lookup("81.2.70.1")
    assert asked(tally) == [LONDON, "81.2.70.1"]


def test_resolve__nothing_found_holds_for_the_network_too(settings, tally):
    use_tallying_provider(settings, tally, empty="81.2.69.0/24")
    assert lookup(LONDON).reason == lookup(NEIGHBOUR).reason == NOT_FOUND
    assert asked(tally) == [LONDON]


def test_resolve__a_narrower_network_that_comes_later_is_not_hidden(settings, tally):
    use_tallying_provider(settings, tally, prefix_length=16)
    lookup(LONDON)
    assert lookup(NEIGHBOUR).city == "81.2.0.0/16"
    narrow = a_location("81.2.69.9", network="81.2.69.0/24", city="Narrow")
    hot_entries.set_many(factory.current().build(), [narrow], with_networks=True)
    memory.clear()
    assert lookup(NEIGHBOUR).city == "Narrow"
    assert asked(tally) == [LONDON]


@pytest.mark.parametrize("prefix_length", [8, 12, 18, 24, 29, 32])
def test_resolve__one_batch_asks_once_a_network(settings, tally, prefix_length):
    use_tallying_provider(settings, tally, prefix_length=prefix_length)
    addresses = [f"20.{n % 7 * 17}.{n * 5 % 256}.{n * 37 % 256}" for n in range(300)]
    answers = lookup_many(addresses)
    networks = {answer.network for answer in answers.values()}
    assert len(asked(tally)) == len(networks)
    assert all(ip_address(text) in ip_network(answers[text].network) for text in addresses)


@pytest.mark.parametrize("prefix_length", [12, 13, 15, 16, 32, 48, 64])
def test_resolve__an_answer_for_a_network_of_ipv6_holds_for_all_of_it(
    settings, tally, prefix_length
):
    use_tallying_provider(settings, tally, prefix_length=prefix_length)
    network = ip_network((MOSCOW_V6, prefix_length), strict=False)
    lookup(MOSCOW_V6)
    for is_flushed in (False, True):
        memory.clear()
        if is_flushed:
            flush_dirty()
            build = factory.current().build()
            hot_entries.delete_many(build, [MOSCOW_V6, str(network)])
        assert lookup(str(network[-1])).city == str(network)
        assert lookup_many([str(network[-2]), str(network[1])])
    assert asked(tally) == [MOSCOW_V6]


def test_resolve__one_batch_asks_once_a_network_also_without_the_cache(
    settings, tally, monkeypatch
):
    use_tallying_provider(settings, tally, prefix_length=18)
    monkeypatch.setattr(hot_entries, "get_near", lambda *_: {})
    answers = lookup_many(f"20.0.{n}.1" for n in range(256))
    assert len(asked(tally)) == len({answer.network for answer in answers.values()}) == 4


def test_resolve__a_provider_that_names_no_network_is_asked_about_all_at_once(
    settings, tally, monkeypatch
):
    provider = use_tallying_provider(settings, tally, empty="81.2.70.0/24")
    monkeypatch.setattr(provider, "names_networks", False)
    batches = []
    resolve_into = provider.resolve_into

    def watched(answers, some):
        batches.append(list(some))
        resolve_into(answers, some)

    monkeypatch.setattr(provider, "resolve_into", watched)
    monkeypatch.setattr(provider, "time_limit_seconds", lambda _: 5)
    addresses = [f"81.2.{n % 3 + 69}.{n}" for n in range(30)]
    assert len(lookup_many(addresses)) == 30
    assert [sorted(batch) for batch in batches] == [sorted(addresses)]


def test_resolve__a_provider_that_names_no_network_may_fail(settings, tally, monkeypatch, tmp_path):
    broken = tmp_path / "broken"
    broken.touch()
    provider = use_tallying_provider(settings, tally, broken=str(broken))
    monkeypatch.setattr(provider, "names_networks", False)
    assert {one.reason for one in lookup_many([LONDON, NEIGHBOUR]).values()} == {UNAVAILABLE}
    broken.unlink()
    assert all(lookup_many([LONDON, NEIGHBOUR]).values())


@pytest.mark.slow
def test_resolve__a_row_is_not_good_for_longer_when_it_becomes_a_hot_entry(settings, tally):
    settings.GEOCACHE = {**settings.GEOCACHE, "ROW_TTL_SECONDS": 2}
    use_tallying_provider(settings, tally)
    a_row(LONDON, resolved_at=datetime.now(UTC), city="Of the row")
    assert lookup(LONDON).city == "Of the row"

    def is_asked():
        memory.clear()
        return lookup(LONDON).city != "Of the row"

    assert not is_asked()
    wait_until(is_asked)
    assert asked(tally) == [LONDON]


def test_resolve__only_what_was_asked_for_goes_into_the_table(settings, tally):
    use_tallying_provider(settings, tally)
    lookup_many([LONDON, NEIGHBOUR, "81.2.70.1"])
    assert flush_dirty().flushed == 2
    assert sorted(GeoCache.objects.values_list("pk", flat=True)) == sorted(asked(tally))


def test_resolve__a_failure_is_not_remembered_and_the_claim_is_given_up(settings, tally, tmp_path):
    broken = tmp_path / "broken"
    use_tallying_provider(settings, tally, broken=str(broken))
    broken.touch()
    assert lookup(LONDON).reason == UNAVAILABLE
    block = {LONDON: ip_address(LONDON)}
    build = factory.current().build()
    flight = SingleFlight(build, factory.current())
    assert flight.acquire(block) == block
    flight.release(block)
    broken.unlink()
    assert lookup(LONDON)


# --- a chain -----------------------------------------------------------------------------------


@pytest.fixture
def chain(settings, tally):
    free = {
        "BACKEND": "geocache.providers.dummy.DummyProvider",
        "OPTIONS": {"answers": {LONDON: {"city": "Free", "network": "81.2.0.0/16"}}},
    }
    settings.GEOCACHE = {
        **settings.GEOCACHE,
        "PROVIDER": {
            "BACKEND": "geocache.providers.chain.ChainProvider",
            "OPTIONS": {"providers": [free, configured(tally)]},
        },
    }


@pytest.mark.usefixtures("chain")
def test_resolve__what_is_free_reads_no_row_and_costs_nothing(tally, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert lookup(LONDON).city == "Free"
    assert asked(tally) == []
    assert flush_dirty().flushed == 1


@pytest.mark.usefixtures("chain")
def test_resolve__a_free_answer_does_not_hold_for_its_network(tally):
    """To ask for each address is free, and may be more exact."""
    lookup(LONDON)
    assert lookup(NEIGHBOUR).city == "81.2.69.0/24"
    assert asked(tally) == [NEIGHBOUR]


# --- asked once --------------------------------------------------------------------------------


def test_resolve__threads_that_miss_at_once_make_one_call(settings, tally):
    use_tallying_provider(settings, tally, seconds=0.2)
    together = threading.Barrier(8)

    def ask(n):
        together.wait()
        return lookup(LONDON if n % 2 else NEIGHBOUR)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert {answer.city for answer in answers} == {"81.2.69.0/24"}
    assert len(asked(tally)) == 1


ASKING = """
import json, sys, time
from django.conf import settings
settings.GEOCACHE = {{**settings.GEOCACHE, "PROVIDER": {provider}}}
from geocache.lookup import lookup_many
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps([one.city for one in lookup_many({addresses}).values()]), flush=True)
"""


def asking(tally, addresses, **options):
    """Start a process that asks when it is told to."""
    provider = configured(tally, **options)
    return start_script(ASKING.format(provider=provider, addresses=addresses))


def tell(crew):
    """Let all of them ask at the same moment."""
    for process in crew:
        assert process.stdout.readline() == "ready\n"
    for process in crew:
        process.stdin.write("now\n")
        process.stdin.flush()


@pytest.mark.slow
def test_resolve__processes_that_miss_at_once_make_one_call(tally):
    crew = [asking(tally, [LONDON, "9.9.9.9"], seconds=0.3) for _ in range(3)]
    tell(crew)
    said = [json.loads(process.communicate(timeout=60)[0]) for process in crew]
    assert said == [["81.2.69.0/24", "9.9.9.0/24"]] * 3
    assert sorted(asked(tally)) == sorted([LONDON, "9.9.9.9"])


@pytest.mark.slow
def test_resolve__processes_wait_for_a_slow_answer_and_make_one_call(tally):
    crew = [asking(tally, [LONDON], seconds=4) for _ in range(3)]
    tell(crew)
    said = [json.loads(process.communicate(timeout=60)[0]) for process in crew]
    assert said == [["81.2.69.0/24"]] * 3
    assert asked(tally) == [LONDON]


@pytest.mark.slow
def test_resolve__of_a_long_batch_others_wait_for_a_part_only(settings, tally):
    """And a holder that is killed loses one part of its answers at most."""
    # Each in a /8 of its own, so that they are queried in one round.
    addresses = [f"{n}.0.0.1" for n in range(20, 60)]
    holder = asking(tally, addresses, seconds=0.2)
    tell([holder])
    wait_until(lambda: len(asked(tally)) > 16)
    use_tallying_provider(settings, tally)
    assert lookup(addresses[0])
    assert addresses[0] not in asked(tally)[1:]
    stop(holder, signal.SIGKILL)
    # The parts of a provider that may take five seconds for each address.
    assert flush_dirty().flushed >= len(asked(tally)) - 8


@pytest.mark.slow
def test_resolve__when_the_holder_is_killed_one_of_those_who_wait_takes_its_place(settings, tally):
    holder = asking(tally, [LONDON], seconds=60)
    tell([holder])
    wait_until(lambda: asked(tally) == [LONDON])
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=60)
    use_tallying_provider(settings, tally)
    started = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lookup, [LONDON] * 4))
    # It would have answered after a minute, and nobody has waited for that.
    assert time.monotonic() - started < 30
    assert {answer.city for answer in answers} == {"81.2.69.0/24"}
    assert asked(tally) == [LONDON] * 2


def test_resolve__who_has_waited_long_enough_pays_for_nothing(settings, tally, monkeypatch):
    provider = use_tallying_provider(settings, tally)
    SingleFlight(provider.build(), provider).acquire({LONDON: ip_address(LONDON)})
    monkeypatch.setattr(SingleFlight, "has_waited_long_enough", lambda _: True)
    assert lookup(LONDON).reason == UNAVAILABLE
    assert asked(tally) == []


@pytest.mark.slow
def test_resolve__a_slow_answer_is_waited_for_and_paid_for_once(settings, tally):
    use_tallying_provider(settings, tally, seconds=3.2)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lookup, [LONDON, NEIGHBOUR]))
    assert {answer.city for answer in answers} == {"81.2.69.0/24"}
    assert len(asked(tally)) == 1


# --- what was paid for ---------------------------------------------------------------------------

# Of other blocks than London's.
FAILING = "20.0.0.1"
ALSO_FAILING = [f"20.0.{n}.1" for n in range(9)]


class Interrupted(BaseException):
    """As KeyboardInterrupt, which would end the test run."""


def failing_for(provider, monkeypatch, prefix, error):
    resolve = provider.resolve

    def watched(address):
        if address.startswith(prefix):
            raise error
        return resolve(address)

    monkeypatch.setattr(provider, "resolve", watched)


def test_resolve__a_failure_in_the_flight_of_another_leaves_what_was_paid_for(
    settings, tally, monkeypatch
):
    provider = use_tallying_provider(settings, tally)
    failing_for(provider, monkeypatch, "20.", ProviderError("broken"))
    other = SingleFlight(provider.build(), provider)
    block = other.acquire({FAILING: ip_address(FAILING)})
    threading.Timer(0.3, other.release, [block]).start()
    answers = lookup_many([LONDON, FAILING])
    assert answers[LONDON].city == "81.2.69.0/24"
    assert answers[FAILING].reason == UNAVAILABLE
    assert flush_dirty().flushed == 1


def test_resolve__a_failed_part_leaves_what_was_paid_for(settings, tally, monkeypatch):
    provider = use_tallying_provider(settings, tally)
    monkeypatch.setattr(provider, "names_networks", False)
    failing_for(provider, monkeypatch, "20.", ProviderError("broken"))
    paid = [f"81.2.{n}.1" for n in range(9)]
    answers = lookup_many([*paid, *ALSO_FAILING])
    assert [address for address in answers if answers[address]] == paid
    assert flush_dirty().flushed == len(paid)


def test_resolve__a_failure_leaves_what_another_has_found(settings, tally, monkeypatch):
    provider = use_tallying_provider(settings, tally)
    failing_for(provider, monkeypatch, "20.", ProviderError("broken"))
    get_near, found = hot_entries.get_near, a_location(LONDON, city="Found")
    looks = []

    def appearing(build, addresses):
        looks.append(dict(addresses))
        # After the first look, before the provider is queried.
        return get_near(build, addresses) if len(looks) == 1 else {LONDON: found}

    monkeypatch.setattr(hot_entries, "get_near", appearing)
    answers = lookup_many([LONDON, FAILING])
    assert (answers[LONDON].city, answers[FAILING].reason) == ("Found", UNAVAILABLE)


@pytest.mark.parametrize("error", [TypeError("bug"), Interrupted()], ids=repr)
def test_resolve__what_was_paid_for_is_journaled_whatever_ends_the_call(
    settings, tally, monkeypatch, error
):
    provider = use_tallying_provider(settings, tally)
    failing_for(provider, monkeypatch, "20.", error)
    with pytest.raises(type(error)):
        lookup_many([LONDON, FAILING])
    assert [one.asked_count for one in quota.usages(provider)] == [1]
    assert flush_dirty().flushed == 1
    assert lookup(LONDON).city == "81.2.69.0/24"
    assert asked(tally) == [LONDON]


def test_alookup__what_was_paid_for_is_journaled_when_nobody_waits_for_it(settings, tally):
    use_tallying_provider(settings, tally, seconds=0.3)

    async def give_up():
        with suppress(TimeoutError):
            await asyncio.wait_for(alookup(LONDON), 0.05)

    asyncio.run(give_up())
    wait_until(lambda: flush_dirty().flushed)
    assert lookup(LONDON).city == "81.2.69.0/24"
    assert asked(tally) == [LONDON]


def test_alookup_many__a_failure_leaves_what_was_paid_for(settings, tally, monkeypatch):
    provider = use_tallying_provider(settings, tally)
    failing_for(provider, monkeypatch, "20.", ProviderError("broken"))
    answers = asyncio.run(alookup_many([LONDON, *ALSO_FAILING]))
    assert [address for address in answers if answers[address]] == [LONDON]
    assert quota.usages(provider)[0].asked_count == 1


def test_lookup_many__nothing_is_paid_for_when_one_is_not_an_address(settings, tally):
    use_tallying_provider(settings, tally, prefix_length=8)
    addresses = [f"20.{n // 256}.{n % 256}.1" for n in range(1001)]
    with pytest.raises(InvalidAddress):
        lookup_many([*addresses, "nonsense"])
    assert asked(tally) == []
