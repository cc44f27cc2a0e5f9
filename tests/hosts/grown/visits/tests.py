"""The host's own tests, as they were, and two that it wrote for geocache."""

from django.test import TestCase
from geocache.testing import override_locations

from geocache.journal.flush import flush_dirty
from geocache.lookup import lookup
from geocache.models import GeoCache
from visits.models import Visit


class WelcomeTest(TestCase):
    databases = "__all__"

    def test_welcome__is_in_the_frame_of_the_host(self):
        Visit.objects.create(ip="192.0.2.1")

        page = self.client.get("/", follow=True)

        self.assertContains(page, "<title>The host</title>", html=True)

    @override_locations({"81.2.69.142": {"country_code": "FR", "city": "Lyon"}})
    def test_welcome__shows_the_city(self):
        Visit.objects.create(ip="81.2.69.142")

        page = self.client.get("/", follow=True)

        self.assertContains(page, "Lyon")

    def test_flush__is_of_this_test_alone(self):
        with override_locations({"81.2.69.142": "FR"}):
            lookup("81.2.69.142")
            flush_dirty()

        self.assertEqual(list(GeoCache.objects.values_list("country_code", flat=True)), ["FR"])
