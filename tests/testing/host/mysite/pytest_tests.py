"""What the owner of a site tests with pytest."""

import pytest

from geocache.journal.flush import flush_dirty
from geocache.lookup import lookup
from geocache.models import GeoCache
from geocache.testing import override_locations

LONDON = "81.2.69.142"


def test_lookup__without_a_database():
    assert lookup("4.4.4.4")


@pytest.fixture
def in_london(override_locations):
    return override_locations({LONDON: {"city": "London"}})


def test_page(client, in_london):
    assert client.get("/", REMOTE_ADDR=LONDON).content == b"Hello from London!"
    assert in_london.looked_up == [LONDON]


@pytest.mark.django_db
@pytest.mark.parametrize("_", range(2))
@pytest.mark.usefixtures("in_london")
def test_flush(_):
    assert lookup(LONDON)
    assert flush_dirty().flushed == 1
    assert GeoCache.objects.get().city == "London"


def test_fixture__is_undone():
    assert lookup(LONDON).source != "override_locations"


@override_locations({LONDON: "FR"})
def test_decorator__with_a_fixture(rf):
    assert lookup(rf.get("/", REMOTE_ADDR=LONDON).META["REMOTE_ADDR"]).country_code == "FR"
