"""The host's tests for pytest: the fixture comes with geocache."""

import pytest

from visits.models import Visit

pytestmark = pytest.mark.django_db


def test_welcome__shows_the_city(client, override_locations):
    override_locations({"81.2.69.142": {"country_code": "FR", "city": "Lyon"}})
    Visit.objects.create(ip="81.2.69.142")

    assert "Lyon" in client.get("/").content.decode()


def test_welcome__shows_no_city_of_another_test(client, override_locations):
    override_locations({"2001:db8::/32": "SE"})
    Visit.objects.create(ip="81.2.69.142")

    assert "Lyon" not in client.get("/").content.decode()
