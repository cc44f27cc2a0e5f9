"""Whom to thank stands on each page that shows what they gave: also of databases that are gone."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from geocache.journal.flush import flush_dirty
from geocache.journal.recorder import record
from geocache.models import AnswerHistory, GeoCache
from geocache.statistics.after_flush import after_flush
from tests.factories import LONDON, NOON, a_location, a_row, use_dummy_provider
from tests.support.assertions import no_database_write

pytestmark = pytest.mark.django_db(transaction=True)
DBIP = "IP Geolocation by DB-IP (CC BY 4.0)"
LINK = 'href="https://db-ip.com"'


@pytest.fixture(autouse=True)
def provider(settings):
    return use_dummy_provider(settings)


@pytest.fixture
def old_row():
    """One that a database gave which is not in use any more."""
    record([a_location(source="DBIP-City-Lite 2026-01-01", latitude=51.5, longitude=-0.1)])
    flush_dirty()
    after_flush()
    return GeoCache.objects.get()


@pytest.mark.usefixtures("old_row")
@pytest.mark.parametrize("page", ["/", "/addresses/", f"/addresses/{LONDON}/"])
def test_page__credits_the_sources_of_its_rows(viewer, page):
    with no_database_write(max_queries=20):
        text = viewer.get(page).text
    assert text.count(DBIP) == 1
    assert LINK in text


@pytest.mark.usefixtures("old_row")
def test_page__in_the_frame_of_a_host_credits_them_too(viewer, settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "BASE_TEMPLATE": "geocache/frame.html"}
    text = viewer.get("/addresses/").text
    assert 'class="geocache is-hosted"' in text
    assert DBIP in text


def test_lookup_page__credits_what_an_old_hot_entry_says(viewer, settings):
    use_dummy_provider(settings, answers={LONDON: {"source": "DBIP-City-Lite 2026-01-01"}})
    assert DBIP in viewer.get(f"/lookup/?ip={LONDON}").text
    assert DBIP not in viewer.get("/lookup/").text


def test_pages__without_such_rows_thank_nobody(viewer):
    a_row()
    assert DBIP not in viewer.get("/addresses/").text


def test_page_of_an_address__credits_its_past(viewer):
    a_row()
    AnswerHistory.objects.create(
        address=LONDON,
        source="DBIP-City-Lite 2026-01-01",
        city="Leeds",
        resolved_at=NOON,
        valid_from=NOON,
        valid_until=NOON + timedelta(days=1),
    )
    assert DBIP in viewer.get(f"/addresses/{LONDON}/").text
    assert DBIP in viewer.get("/moves/").text


@pytest.mark.usefixtures("old_row")
def test_admin__list_and_form_have_credits(superuser):
    AnswerHistory.objects.create(
        address=LONDON,
        source="DBIP-City-Lite 2026-01-01",
        resolved_at=NOON,
        valid_from=NOON,
        valid_until=NOON + timedelta(days=1),
    )
    key = AnswerHistory.objects.get().pk
    for page in (
        "geocache/",
        f"geocache/{LONDON}/change/",
        "answerhistory/",
        f"answerhistory/{key}/change/",
    ):
        text = superuser.get(f"/admin/geocache/{page}", follow=True).text
        assert text.count(DBIP) == 1, page
    assert User.objects.count() == 1


@pytest.mark.usefixtures("old_row")
def test_page__shows_the_name_that_is_set_for_a_source(viewer, settings):
    a_row("2.125.160.216", source="city ipv4 2026-06-01")
    sources = {"city ipv4": "DB-IP City Lite"}
    settings.GEOCACHE = {**settings.GEOCACHE, "SOURCES": sources}
    assert "DB-IP City Lite 2026-06-01" in viewer.get("/addresses/").text
