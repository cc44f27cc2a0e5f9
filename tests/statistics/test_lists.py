from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from geocache.journal.flush import flush_dirty
from geocache.models import ImportSource
from geocache.statistics.lists import count_due, geography_of
from tests.factories import LONDON, MOSCOW_V6, use_dummy_provider
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _provider(settings: Any) -> None:
    answers = {
        LONDON: {"country_code": "GB", "asn": 64500, "organization": "Test Networks"},
        MOSCOW_V6: {"country_code": "RU"},
    }
    use_dummy_provider(settings, answers=answers)


def test_count_due__counts_what_is_listed_and_located() -> None:
    imported(LONDON, MOSCOW_V6, "9.9.9.9", "5.6.7.0/24")
    imported(LONDON, name="other")
    flush_dirty()
    now = timezone.now()
    assert count_due(now) == 2
    found = geography_of(ImportSource.objects.get(name="test"))
    assert found is not None
    assert (found.made_at, found.address_count) == (now, 3)
    assert dict(found.countries) == {"GB": 1, "RU": 1}
    assert found.operators == ((64500, "Test Networks", 1),)


def test_count_due__again_after_an_import_or_a_flush_an_hour_later() -> None:
    imported(LONDON)
    now = timezone.now()
    assert [count_due(now), count_due(now + timedelta(days=1))] == [1, 0]
    imported(LONDON, MOSCOW_V6)
    assert count_due(now) == 1
    flush_dirty()
    assert count_due(now + timedelta(minutes=59)) == 0
    assert count_due(now + timedelta(minutes=61)) == 1


def test_geography_of__nothing_was_counted() -> None:
    assert geography_of(ImportSource(name="new")) is None
