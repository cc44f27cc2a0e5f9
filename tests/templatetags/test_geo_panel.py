import pytest

from geocache.cache import backends
from geocache.journal import writer
from geocache.models import FlushRun
from tests.factories import NOON, a_viewer, an_admin, many_locations
from tests.support.assertions import assert_valid_html, no_database_write

pytestmark = pytest.mark.django_db
INDEX = "/admin/"


def panel(client):
    with no_database_write(max_queries=8):
        response = client.get(INDEX)
    assert_valid_html(response)
    return response.text


def a_run(**fields):
    given = {"seconds": 0.5, "flushed": 1200, "rejected": 0, "pending": 0, "timed_out": False}
    FlushRun.objects.create(started_at=NOON, **given | fields)


def test_geo_panel__shows_backlog_last_flush_and_the_button(client):
    client.force_login(an_admin())
    writer.append(many_locations(3))
    a_run()
    text = panel(client)
    assert "Pending: 3" in text
    assert "ago: 1,200 written." in text
    assert 'action="/admin/geocache/geocache/flush/"' in text
    assert 'href="/admin/geocache/flushrun/"' in text


def test_geo_panel__viewer_has_no_button(client):
    client.force_login(a_viewer())
    text = panel(client)
    assert "Nothing was flushed yet." in text
    assert "Flush now" not in text


def test_geo_panel__says_that_the_last_flush_failed(client):
    client.force_login(a_viewer())
    a_run(error="<b>away")
    assert 'It failed: <span lang="en">&lt;b&gt;away</span>' in panel(client)


def test_geo_panel__staff_without_the_permission_see_none(client):
    user = a_viewer()
    user.user_permissions.clear()
    client.force_login(user)
    assert "geocache-panel" not in panel(client)


def test_geo_panel__cache_that_is_down_hides_only_the_number(client, monkeypatch):
    def fail(*_):
        raise OSError("connection refused")

    client.force_login(a_viewer())
    monkeypatch.setattr(backends, "current", fail)
    assert "Pending: unknown" in panel(client)
