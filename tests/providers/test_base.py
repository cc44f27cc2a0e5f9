import asyncio
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.core.exceptions import ImproperlyConfigured

from geocache.exceptions import ProviderError
from geocache.providers import factory
from geocache.providers.base import (
    MAX_SOURCE_LENGTH,
    Provider,
    Source,
    is_outdated,
    joined_sources,
)
from geocache.providers.dummy import DummyProvider
from geocache.providers.mmdb import MmdbProvider
from tests.factories import LONDON, MOSCOW_V6, a_location, use_dummy_provider

BUILT_AT = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Moody(Provider):
    """Fails for addresses in 9.0.0.0/8."""

    def build(self):
        return "1"

    def resolve(self, address):
        if address.startswith("9."):
            raise ProviderError(f"not {address}")
        return a_location(address)

    def sources(self):
        return []


# --- Source ------------------------------------------------------------------------------------


def test_source__says_its_name_and_day():
    assert str(Source(name="City", built_at=BUILT_AT)) == "City 2026-01-02"
    assert str(Source(name="Service")) == "Service"


def test_source__age_is_in_whole_days():
    source = Source(name="City", built_at=BUILT_AT)
    assert source.age_days(BUILT_AT) == 0
    assert source.age_days(BUILT_AT + timedelta(hours=47)) == 1
    east = timezone(timedelta(hours=9))
    assert source.age_days((BUILT_AT + timedelta(days=9)).astimezone(east)) == 9
    assert source.age_days() == (datetime.now(UTC) - BUILT_AT).days
    assert Source(name="Service").age_days() is None


# --- the sources of an answer ------------------------------------------------------------------

FILES = [Source(name=f"GeoIP2-Enterprise-Number-{n}-of-8", built_at=BUILT_AT) for n in range(8)]
NEWER = [Source(name=one.name, built_at=BUILT_AT + timedelta(days=7)) for one in FILES]


def test_joined_sources__of_few_are_their_names():
    assert joined_sources(map(str, FILES[:2])) == f"{FILES[0]}, {FILES[1]}"
    assert joined_sources([]) == ""


@pytest.mark.parametrize("count", [1, 4, 5, 6, 8])
def test_is_outdated__is_exact_for_any_number_of_files(count):
    """A source that is cut names what does not exist: its rows would be resolved every hour."""
    source = joined_sources(map(str, FILES[:count]))
    assert len(source) <= MAX_SOURCE_LENGTH
    assert source.startswith(str(FILES[0]))
    assert not is_outdated(source, FILES)
    for n in range(count):
        assert is_outdated(source, [*FILES[:n], NEWER[n], *FILES[n + 1 :]])


@pytest.mark.parametrize("name", ["Example, Inc.", "x" * 300, "a, b, c", "(*.|+"])
def test_is_outdated__a_name_may_be_any_text(name):
    service, other = Source(name=name), Source(name="Other")
    source = joined_sources([str(service), str(other)])
    assert len(source) <= MAX_SOURCE_LENGTH
    assert not is_outdated(source, [other, service])
    assert not is_outdated(name, [service])
    assert is_outdated(source, [other])
    assert is_outdated(source, [service])


def test_is_outdated__nothing_named_is_not_outdated():
    assert not is_outdated("", FILES)
    assert is_outdated("Anything", [])


def test_joined_sources__of_absurdly_many_are_as_many_as_there_is_room_for():
    names = [Source(name=f"{n} {'x' * 50}") for n in range(99)]
    source = joined_sources(map(str, names))
    assert MAX_SOURCE_LENGTH - 11 <= len(source) <= MAX_SOURCE_LENGTH
    assert not is_outdated(source, names)


# --- Provider ----------------------------------------------------------------------------------


def test_provider__is_a_contract_that_must_be_kept():
    with pytest.raises(TypeError, match="abstract"):
        Provider()


def test_provider__defaults():
    assert Moody.is_metered is False
    assert Moody().check() == []


def test_resolve_many__answers_what_it_can():
    assert Moody().resolve_many([LONDON, "9.9.9.9", MOSCOW_V6]) == {
        LONDON: a_location(LONDON),
        MOSCOW_V6: a_location(MOSCOW_V6),
    }


def test_resolve_many__of_nothing_is_nothing():
    assert Moody().resolve_many([]) == {}


def test_resolve_many__raises_only_when_all_failed():
    with pytest.raises(ProviderError, match=r"not 9\.9\.9\.10"):
        Moody().resolve_many(["9.9.9.9", "9.9.9.10"])


# --- the one in use ----------------------------------------------------------------------------


def test_current__is_one_a_process_and_made_from_the_settings(settings):
    dummy = use_dummy_provider(settings, version="7", is_metered=True)
    assert factory.current() is dummy
    assert (dummy.version, dummy.is_metered) == ("7", True)


def test_current__is_a_new_one_when_the_settings_change(settings):
    first = use_dummy_provider(settings)
    assert use_dummy_provider(settings) is not first


def test_current__by_default_reads_files(settings):
    settings.GEOCACHE = {}
    assert isinstance(factory.current(), MmdbProvider)


@pytest.mark.parametrize(
    "provider",
    [
        {},
        {"BACKEND": ""},
        {"BACKEND": "nonsense"},
        {"BACKEND": "geocache.providers.none.NoProvider"},
        {"BACKEND": "geocache.providers.dummy.NoProvider"},
        {"BACKEND": "geocache.providers.dummy.DummyProvider", "OPTIONS": {"no_such": 1}},
        {"BACKEND": "geocache.providers.dummy.DummyProvider", "OPTIONS": None},
        {"BACKEND": "geocache.providers.base.Provider"},
        {"BACKEND": None},
        {"BACKEND": 5},
        None,
        "geocache.providers.dummy.DummyProvider",
    ],
    ids=repr,
)
def test_current__a_provider_that_cannot_be_made_is_said_in_one_line(settings, provider):
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": provider}
    with pytest.raises(ImproperlyConfigured) as refusal:
        factory.current()
    message = str(refusal.value)
    assert message.startswith('GEOCACHE["PROVIDER"] cannot be used: ')
    assert "\n" not in message


def test_current__options_may_be_left_out(settings):
    backend = "geocache.providers.dummy.DummyProvider"
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": {"BACKEND": backend}}
    assert isinstance(factory.current(), DummyProvider)


# --- in an event loop --------------------------------------------------------------------------


def test_aresolve_into__calls_resolve_into_in_a_thread():
    threads = []

    class Watched(Moody):
        def resolve_into(self, answers, addresses):
            threads.append(threading.get_ident())
            super().resolve_into(answers, addresses)

    answers = {}
    asyncio.run(Watched().aresolve_into(answers, ["8.8.8.8", "9.9.9.9"]))
    assert list(answers) == ["8.8.8.8"]
    assert threads != [threading.get_ident()]
    with pytest.raises(ProviderError, match="not 9"):
        asyncio.run(Watched().aresolve_into(answers, ["9.9.9.9"]))


def test_aresolve_into__cancelled_it_leaves_no_thread_that_still_answers():
    begun, may_end = threading.Event(), threading.Event()

    class Slow(Moody):
        def resolve(self, address):
            begun.set()
            may_end.wait(30)
            return super().resolve(address)

    answers = {}

    async def ask_and_cancel():
        asking = asyncio.create_task(Slow().aresolve_into(answers, ["8.8.8.8"]))
        async with asyncio.timeout(30):
            while not begun.is_set():  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.001)
        asking.cancel()
        await asyncio.sleep(0.01)
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return list(answers)

    assert asyncio.run(ask_and_cancel()) == ["8.8.8.8"]
