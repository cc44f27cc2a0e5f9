"""What the owner of a site tests with Django's runner. The site itself has looked up addresses."""

from urllib.request import urlopen

from django.conf import settings
from django.core.management import call_command
from django.test import LiveServerTestCase, SimpleTestCase, TestCase, TransactionTestCase

from geocache.exceptions import ProviderError
from geocache.journal.flush import flush_dirty
from geocache.lookup import alookup, lookup
from geocache.models import GeoCache
from geocache.testing import override_locations

LONDON = "81.2.69.142"
PLACES = {
    LONDON: {"country_code": "GB", "city": "London"},
    "203.0.113.0/24": "FR",
    "127.0.0.1": {"city": "Home"},
}


class WithoutOverrideTests(SimpleTestCase):
    def test_lookup__in_the_name_of_the_site(self):
        # Its database has the name of the site's here: only the cache is another.
        assert lookup("4.4.4.4")
        assert lookup("9.9.9.9")


class FlushWithoutOverrideTests(TestCase):
    def test_flush__has_what_tests_looked_up_only(self):
        assert lookup("5.5.5.5")
        flush_dirty()
        assert not GeoCache.objects.filter(pk__in=["3.3.3.3"]).exists()


class SimpleTests(SimpleTestCase):
    @override_locations({LONDON: "GB", "9.9.9.9": ProviderError("down")})
    def test_lookups__touch_no_table(self):
        assert lookup(LONDON).country_code == "GB"
        assert lookup("9.9.9.9").reason == "unavailable"
        assert lookup("8.8.8.8").reason == "not_found"


@override_locations(PLACES)
class ClassTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        assert lookup(LONDON).city == "London"

    def look_up_and_flush(self):
        assert self.client.get("/", REMOTE_ADDR=LONDON).content == b"Hello from London!"
        assert self.client.get("/").content == b"Hello from Home!"
        assert lookup("203.0.113.7").network == "203.0.113.0/24"
        call_command("flush_geo", verbosity=0)
        assert GeoCache.objects.count() == 3

    def test_once(self):
        self.look_up_and_flush()

    def test_twice(self):
        self.look_up_and_flush()

    async def test_async(self):
        assert (await alookup(LONDON)).city == "London"
        answered = await self.async_client.get("/async/", REMOTE_ADDR=LONDON)
        assert answered.status_code == 200


class TransactionTests(TransactionTestCase):
    def look_up_and_flush(self):
        with override_locations(PLACES) as places:
            lookup(LONDON)
            assert flush_dirty().flushed == 1
        assert places.looked_up == [LONDON]
        assert GeoCache.objects.get().city == "London"

    def test_once(self):
        self.look_up_and_flush()

    def test_twice(self):
        self.look_up_and_flush()


@override_locations(PLACES)
class LiveServerTests(LiveServerTestCase):
    def test_page(self):
        with urlopen(self.live_server_url) as answered:
            assert answered.read() == b"Hello from Home!"


class SettingsTests(SimpleTestCase):
    @override_locations(PLACES)
    def test_settings_that_change_inside(self):
        with self.settings(GEOCACHE={"PUBLIC_LOOKUP": True}, CACHES={"default": NO_CACHE}):
            assert lookup(LONDON).city == "London"
            assert lookup("8.8.8.8").reason == "not_found"
        assert settings.CACHES["default"] != NO_CACHE


NO_CACHE = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
