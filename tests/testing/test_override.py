import asyncio
import inspect
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import SimpleTestCase, TestCase

from geocache import jobs, testing
from geocache.addresses import parse_address, special_reason
from geocache.cache import backends
from geocache.exceptions import ProviderError
from geocache.journal import recorder, segments, spill_buffer, writer
from geocache.journal.backlog import read_backlog
from geocache.journal.flush import flush_dirty
from geocache.lookup import alookup, explain, lookup, lookup_many
from geocache.lookup.memory import memory
from geocache.maintenance.forget import forget
from geocache.maintenance.resolve_again import resolve_again
from geocache.models import FlushRun, GeoCache, JournalHead
from geocache.providers import factory
from geocache.rate_limit import limiter
from geocache.signals import location_recorded
from geocache.testing import override_locations
from tests.factories import LONDON, a_location, use_dummy_provider
from tests.support.receivers import connected

OTHER = "2.125.160.216"


@pytest.fixture(autouse=True)
def site(settings):
    """The site's own provider, that no look-up inside may reach."""
    return use_dummy_provider(settings, answers={LONDON: {"city": "Site"}, OTHER: {"city": "Site"}})


def test_lookup__unnamed_is_unknown_and_asks_no_other_provider(site):
    with override_locations({LONDON: "GB"}) as places:
        assert lookup(LONDON).country_code == "GB"
        assert lookup(OTHER).reason == "not_found"
    assert places.looked_up == [LONDON, OTHER]
    assert site.asked == []


def test_lookup__known_is_answered_from_memory():
    with override_locations({LONDON: "GB"}) as places:
        assert lookup(LONDON) is lookup(LONDON)
        lookup_many([LONDON, OTHER])
    assert places.looked_up == [LONDON, OTHER]


def test_lookup__default():
    with override_locations({LONDON: "GB"}, default={"city": "Anywhere"}):
        assert lookup(OTHER).city == "Anywhere"
        assert lookup(LONDON).city == ""
        assert lookup("10.0.0.1").reason == "private"


def test_lookup__passthrough_asks_the_provider_of_the_site(site):
    with override_locations({LONDON: "GB"}, passthrough=True):
        assert lookup_many([LONDON, OTHER])[OTHER].city == "Site"
        assert lookup(LONDON).country_code == "GB"
        assert lookup(LONDON).city == ""
    assert site.asked == [OTHER]


def test_default_and_passthrough__exclude_each_other():
    with pytest.raises(ValueError, match="default or passthrough, not both"):
        override_locations({}, default="GB", passthrough=True)


@pytest.mark.parametrize("address", ["203.0.113.7", "127.0.0.1", "10.0.0.1", "2001:db8::1", "::1"])
def test_lookup__special_address_that_is_named(address):
    with override_locations({address: "GB"}):
        assert lookup(address).country_code == "GB"
        assert lookup_many([address])[address].country_code == "GB"
        assert lookup("192.168.0.1").reason == "private"
    assert not lookup(address)
    assert special_reason(parse_address(address))


@pytest.mark.django_db
def test_special_address__is_known_to_all_that_read():
    with override_locations({"203.0.113.0/24": "FR"}):
        lookup("203.0.113.7")
        assert explain.trace(parse_address("203.0.113.7")).hot_entry
        flush_dirty()
        assert resolve_again(["203.0.113.7"])
        assert GeoCache.objects.get().country_code == "FR"


@pytest.mark.parametrize("failure", [ProviderError("down"), TimeoutError()])
def test_lookup__failure_without_a_database(failure):
    with override_locations({LONDON: failure, OTHER: "FR"}) as places:
        assert lookup(LONDON).reason == "unavailable"
        found = lookup_many([LONDON, OTHER])
        assert (found[LONDON].reason, found[OTHER].country_code) == ("unavailable", "FR")
    assert places.looked_up == [LONDON, LONDON, OTHER]


@pytest.mark.django_db
def test_lookup__failure_is_stood_in_for_by_a_row():
    GeoCache.objects.upsert([a_location()])
    with override_locations({LONDON: ProviderError("down")}):
        assert lookup(LONDON).is_stale


def test_nested__inner_sees_nothing_of_outer():
    with override_locations({LONDON: {"city": "One"}, OTHER: {"city": "One"}}) as outer:
        assert lookup(LONDON).city == "One"
        with override_locations({LONDON: {"city": "Two"}}) as inner:
            assert lookup(LONDON).city == "Two"
            assert lookup(OTHER).reason == "not_found"
        assert lookup(LONDON).city == "One"
    assert (outer.looked_up, inner.looked_up) == ([LONDON], [LONDON, OTHER])


def test_nested__passthrough_asks_the_outer_one(site):
    with (
        override_locations({LONDON: "GB", "127.0.0.1": "DE"}),
        override_locations({OTHER: "FR"}, passthrough=True),
    ):
        found = lookup_many([LONDON, OTHER, "127.0.0.1", "9.9.9.9"])
        assert [one.country_code for one in found.values()] == ["GB", "FR", "DE", ""]
    assert site.asked == []


def test_one_after_the_other__do_not_share_answers():
    for city in ("One", "Two"):
        with override_locations({LONDON: {"city": city}}):
            assert lookup(LONDON).city == city


def test_same_object__may_be_entered_inside_of_itself():
    places = override_locations({LONDON: "GB"})
    with places:
        lookup(LONDON)
        with places:
            assert places.looked_up == []
            lookup(LONDON)
            lookup(OTHER)
        assert places.looked_up == [LONDON]


@pytest.mark.django_db
def test_state__of_the_site_is_as_before():
    assert lookup(LONDON).city == "Site"
    throttled = recorder.written_through.is_due()
    before = [dict(vars(one)) for one in (memory, writer.process_writer, spill_buffer.buffer)]
    waiting = read_backlog().answer_count
    name, cache = segments.journal_name(), backends.current()
    with override_locations({LONDON: {"city": "Test"}, OTHER: "FR"}):
        assert read_backlog().answer_count == 0
        assert backends.current() is not cache
        assert recorder.written_through.is_due()
        lookup_many([LONDON, OTHER])
        limiter.ProcessStorage.counts["x"] += 1
        assert flush_dirty().flushed == 2
        spill_buffer.buffer.put([a_location()], 3)
        assert JournalHead.objects.get().alias.startswith("override_locations:")
    after = [dict(vars(one)) for one in (memory, writer.process_writer, spill_buffer.buffer)]
    assert (before, waiting) == (after, read_backlog().answer_count)
    assert (segments.journal_name(), backends.current()) == (name, cache)
    assert limiter.ProcessStorage.counts == {}
    assert throttled
    assert not recorder.written_through.is_due()
    assert lookup(LONDON).city == "Site"
    assert flush_dirty().lost == 0


@pytest.mark.django_db
def test_flush__counts_and_forgets_as_on_the_site():
    with override_locations({LONDON: "GB"}):
        lookup(LONDON)
        assert flush_dirty().flushed == 1
        assert flush_dirty().flushed == 0
        assert FlushRun.objects.get().flushed == 1
        assert forget([LONDON])
        assert not GeoCache.objects.exists()


@pytest.mark.parametrize(
    "cache",
    [
        {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        None,
    ],
)
@pytest.mark.django_db
def test_journal__whatever_cache_the_settings_name(settings, cache):
    settings.CACHES = {"default": settings.CACHES["default"]} | (
        {"geocache": cache} if cache else {}
    )
    with override_locations({LONDON: "GB"}):
        lookup(LONDON)
        assert not GeoCache.objects.exists()
        assert flush_dirty().flushed == 1


def test_settings__that_change_inside(site, settings):
    with override_locations({LONDON: "GB"}):
        settings.GEOCACHE = {"PUBLIC_LOOKUP": True}
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
        assert lookup(LONDON).country_code == "GB"
        assert lookup(OTHER).reason == "not_found"
    assert factory.current() is not site


def test_threads__share_it():
    with override_locations({"20.0.0.0/8": "GB"}) as places, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lookup, [f"20.0.0.{number}" for number in range(200)]))
    assert {one.country_code for one in found} == {"GB"}
    assert len(places.looked_up) == 200


def test_receiver_that_fails__is_logged_in_each_override(caplog):
    def failing(**_):
        raise ValueError("a receiver")

    with connected(location_recorded, failing):
        for _ in range(2):
            with override_locations({LONDON: "GB"}):
                lookup(LONDON)
    assert caplog.text.count("geo_signal_receiver_failed") == 2


def test_tasks__that_overlap_leave_nothing_behind():
    async def look(country, seconds):
        async with override_locations({LONDON: country}):
            await asyncio.sleep(seconds)

    async def both():
        await asyncio.gather(look("GB", 0.01), look("FR", 0.02))

    before = backends.current, factory.current
    asyncio.run(both())
    assert (backends.current, factory.current) == before
    assert lookup(LONDON).city == "Site"


@pytest.mark.django_db
def test_jobs__fetch_no_database(settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [], "UPDATE_DAYS": 7}
    with override_locations({LONDON: "GB"}):
        assert jobs.geo_database_update()["status"] == "disabled"


def test_exit__after_an_error():
    with pytest.raises(ZeroDivisionError), override_locations({LONDON: "GB"}):
        raise ZeroDivisionError
    assert lookup(LONDON).city == "Site"


def test_function():
    @override_locations({LONDON: "GB"})
    def country_of(address: str, *, suffix: str = "") -> str:
        """Say it."""
        return lookup(address).country_code + suffix

    assert country_of(LONDON, suffix="!") == "GB!"
    assert (country_of.__name__, country_of.__doc__) == ("country_of", "Say it.")
    assert lookup(LONDON).city == "Site"


def test_function__async():
    @override_locations({LONDON: "GB"})
    async def country():
        return (await alookup(LONDON)).country_code

    async def in_block():
        async with override_locations({LONDON: "FR"}) as places:
            code = (await alookup(LONDON)).country_code
        return code, places.looked_up

    assert inspect.iscoroutinefunction(country)
    assert asyncio.run(country()) == "GB"
    assert asyncio.run(in_block()) == ("FR", [LONDON])
    assert lookup(LONDON).city == "Site"


def test_function__that_yields():
    @override_locations({LONDON: "GB"})
    def fixture():
        yield lookup(LONDON).country_code

    @override_locations({LONDON: "FR"})
    async def async_fixture():
        yield (await alookup(LONDON)).country_code

    async def first():
        return [one async for one in async_fixture()]

    for code in fixture():
        assert (code, lookup(LONDON).country_code) == ("GB", "GB")
    assert asyncio.run(first()) == ["FR"]
    assert lookup(LONDON).city == "Site"


def test_methods():
    class Places:
        @override_locations({LONDON: "GB"})
        def plain(self):
            return lookup(LONDON).country_code

        @override_locations({LONDON: "FR"})
        @staticmethod
        def static():
            return lookup(LONDON).country_code

        @override_locations({LONDON: "DE"})
        @classmethod
        def of_class(cls):
            return lookup(LONDON).country_code

    assert (Places().plain(), Places().static(), Places.of_class()) == ("GB", "FR", "DE")


def run_tests(case):
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.wasSuccessful(), (result.errors, result.failures)
    return result.testsRun


def test_class__has_its_answers_in_all_that_it_runs():
    seen = []

    @override_locations({LONDON: "GB"})
    class Case(SimpleTestCase):
        @classmethod
        def setUpClass(cls):
            super().setUpClass()
            seen.append(lookup(LONDON).country_code)

        def setUp(self):
            self.place = lookup(LONDON)
            self.addCleanup(lambda: seen.append(lookup(LONDON).country_code))

        def test_sync(self):
            assert self.place.country_code == "GB"

        async def test_async(self):
            assert (await alookup(LONDON)).country_code == "GB"

        @override_locations({LONDON: "FR"})
        def test_method_wins(self):
            assert lookup(LONDON).country_code == "FR"

    assert run_tests(Case) == 3
    assert seen == ["GB"] * 4
    assert lookup(LONDON).city == "Site"


def test_class__of_plain_unittest():
    @override_locations({LONDON: "GB"})
    class Case(unittest.IsolatedAsyncioTestCase):
        async def test_async(self):
            assert (await alookup(LONDON)).country_code == "GB"

    assert run_tests(Case) == 1


def test_class__answers_of_the_subclass_win():
    @override_locations({LONDON: "GB"})
    class Base(SimpleTestCase):
        expected = "GB"

        def test_it(self):
            assert lookup(LONDON).country_code == self.expected

    class Heir(Base):
        pass

    @override_locations({LONDON: "FR"})
    class Other(Base):
        expected = "FR"

    assert [run_tests(case) for case in (Base, Heir, Other, Base)] == [1] * 4


@pytest.mark.django_db
def test_class__each_test_begins_with_nothing():
    places = override_locations({LONDON: "GB"})

    @places
    class Case(TestCase):
        def check(self):
            lookup(LONDON)
            assert places.looked_up == [LONDON]
            assert flush_dirty().flushed == 1
            assert GeoCache.objects.count() == 1

        test_1 = test_2 = check

    assert run_tests(Case) == 2


def test_class__of_pytest():
    with pytest.raises(TypeError, match="have a class of pytest use the fixture"):
        override_locations({})(type("TestPage", (), {}))


def test_fixture__each_call_takes_the_place_of_the_last(override_locations):
    first = override_locations({LONDON: "GB"})
    assert lookup(LONDON).country_code == "GB"
    second = override_locations({LONDON: "FR"}, default=None)
    assert lookup(LONDON).country_code == "FR"
    assert first.looked_up == second.looked_up == [LONDON]


def test_fixture__is_undone():
    assert lookup(LONDON).city == "Site"


def test_app__that_is_not_installed():
    code = (
        "from django.conf import settings\n"
        "settings.configure()\n"
        "import django; django.setup()\n"
        "from geocache.testing import override_locations\n"
        "override_locations({'9.9.9.9': 'GB'}).__enter__()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    last = done.stderr.splitlines()[-1]
    assert last.endswith('override_locations needs "geocache" in INSTALLED_APPS.')


def test_door__has_no_other_name():
    with pytest.raises(AttributeError, match="has no attribute 'override_location'"):
        getattr(testing, "override_location")  # noqa: B009 - no type knows it


@pytest.mark.parametrize("decorated", [5, None, property(str)])
def test_decorated__what_cannot_be_called(decorated):
    with pytest.raises(TypeError, match="decorates functions and classes, not"):
        override_locations({})(decorated)
