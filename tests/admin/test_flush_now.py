import re

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client

from geocache.journal import flush, reader, writer
from geocache.journal.flush import FlushReport
from geocache.models import GeoCache, JournalHead
from geocache.statistics.table import read_statistics
from tests.factories import (
    LONDON,
    a_row,
    a_stranger,
    a_viewer,
    an_admin,
    many_locations,
)
from tests.support.admin_pages import FLUSH, LIST, break_cache, said
from tests.support.assertions import assert_valid_html, no_database_write

pytestmark = pytest.mark.django_db


def test_list__says_how_much_is_pending(superuser):
    writer.append(many_locations(3))
    response = superuser.get(LIST)
    assert "Pending: 3" in response.text
    assert not JournalHead.objects.exists()


def test_list__long_backlog_has_separators(superuser):
    reader.count_deleted(-1_234_567)
    assert "Pending: 1,234,567" in superuser.get(LIST).text


def test_list__cache_that_is_down_hides_only_the_number(superuser, monkeypatch):
    a_row()
    break_cache(monkeypatch)
    response = superuser.get(LIST)
    assert response.status_code == 200
    assert "Pending: unknown" in response.text
    assert LONDON in response.text
    assert_valid_html(response)


def test_list__viewer_sees_what_is_pending_but_no_button(viewer):
    writer.append(many_locations(3))
    text = viewer.get(LIST).text
    assert "Pending: 3" in text
    assert "Flush now" not in text


def test_flush_now__viewer_is_refused(viewer):
    writer.append(many_locations(3))
    with no_database_write(max_queries=6):
        assert viewer.post(FLUSH).status_code == 403
    assert not GeoCache.objects.exists()


@pytest.mark.parametrize("who", [None, a_stranger])
def test_flush_now__others_are_sent_to_log_in(client, who):
    if who:
        client.force_login(who())
    assert client.post(FLUSH).url.startswith("/admin/login/")


def test_flush_now__get_does_nothing(superuser):
    writer.append(many_locations(3))
    assert superuser.get(FLUSH).status_code == 405
    assert not GeoCache.objects.exists()


def test_flush_now__needs_the_token():
    client = Client(enforce_csrf_checks=True)
    client.force_login(an_admin())
    assert client.post(FLUSH).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_flush_now__writes_and_says_so(client):
    user = a_viewer()
    user.user_permissions.add(Permission.objects.get(codename="change_geocache"))
    client.force_login(user)
    assert "Flush now" in client.get(LIST).text
    writer.append(many_locations(3))
    response = client.post(FLUSH, follow=True)
    assert response.redirect_chain == [(LIST, 302)]
    [message] = said(response)
    assert re.fullmatch(r"3 flushed, 0 rejected, 0 pending, in \d+\.\d seconds\.", message)
    assert GeoCache.objects.count() == 3
    assert read_statistics().row_count == 3
    assert "Pending: 0" in response.text


@pytest.mark.django_db(transaction=True)
def test_flush_now__runs_outside_the_transaction_of_a_request(superuser, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    writer.append(many_locations(3))
    assert "3 flushed" in said(superuser.post(FLUSH, follow=True))[0]


@pytest.mark.django_db(transaction=True)
def test_flush_now__nothing_to_do_is_said(superuser):
    response = superuser.post(FLUSH, follow=True)
    assert said(response) == ["Nothing was waiting to be flushed."]


@pytest.mark.django_db(transaction=True)
def test_flush_now__rejected_entries_are_a_warning(superuser):
    writer.process_writer.append("no record")
    response = superuser.post(FLUSH, follow=True)
    [message] = response.context["messages"]
    assert message.level_tag == "warning"
    assert str(message).startswith("0 flushed, 1 rejected, 0 pending")


@pytest.mark.django_db(transaction=True)
def test_flush_now__time_limit_is_said(superuser, monkeypatch):
    report = FlushReport(flushed=5, pending=7, timed_out=True, seconds=20.04)
    monkeypatch.setattr(flush, "flush_dirty", lambda _: report)
    [message] = superuser.post(FLUSH, follow=True).context["messages"]
    assert message.level_tag == "warning"
    assert str(message) == (
        "5 flushed, 0 rejected, 7 pending, in 20.0 seconds. Stopped by the time limit: flush again."
    )


@pytest.mark.django_db(transaction=True)
def test_flush_now__failure_is_one_line(superuser, monkeypatch):
    break_cache(monkeypatch)
    response = superuser.post(FLUSH, follow=True)
    assert response.status_code == 200
    assert said(response) == ["Not flushed: the cache cannot be reached: connection refused"]
