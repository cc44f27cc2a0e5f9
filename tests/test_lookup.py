import pytest

from geocache.flush import flush_dirty
from geocache.lookup import lookup
from geocache.models import GeoCache
from tests.factories import LONDON


@pytest.mark.django_db
def test_lookup__new_address_is_in_the_table_after_a_flush():
    location = lookup(LONDON)
    assert location.country_code == "GB"
    assert not GeoCache.objects.exists()
    assert flush_dirty().flushed == 1
    assert GeoCache.objects.get().to_location() == location
