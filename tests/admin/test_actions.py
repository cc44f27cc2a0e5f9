import csv
from typing import Any

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client

from geocache.admin import parameters
from geocache.journal.flush import flush_dirty
from geocache.lookup import hot_entries, lookup
from geocache.maintenance import resolve_again as again
from geocache.models import GeoCache
from geocache.providers import factory
from geocache.providers.dummy import DummyProvider
from tests.factories import (
    LONDON,
    a_row,
    a_stranger,
    a_viewer,
    an_admin,
    many_locations,
    use_dummy_provider,
)
from tests.support.admin_pages import LIST, LIST_QUERIES, break_cache, said
from tests.support.assertions import assert_valid_html, no_database_write

pytestmark = pytest.mark.django_db
FORGET = f"{LIST}forget/"
EXPORT = f"{LIST}export/"
OTHER = "9.9.9.9"


@pytest.fixture
def provider(settings: Any) -> DummyProvider:
    return use_dummy_provider(settings, answers={LONDON: {"city": "Leeds"}})


def act(client: Client, action: str, *addresses: str, **given: Any) -> Any:
    """Choose an action for some rows of the list."""
    chosen = {"action": action, "index": "0", "_selected_action": addresses}
    return client.post(LIST, chosen | given, follow=True)


def forget(client: Client, *addresses: str) -> Any:
    """Confirm that addresses are to be forgotten."""
    return client.post(FORGET, {"_selected_action": addresses}, follow=True)


def offered(client: Client, url: str = LIST) -> str:
    return client.get(url).text


def exported(response: Any) -> list[str]:
    lines = b"".join(response.streaming_content).decode().splitlines()
    return [row["address"] for row in csv.DictReader(lines)]


# --- who may ---------------------------------------------------------------------------------


def test_actions__viewer_is_offered_the_export_alone(viewer):
    a_row()
    for url in (LIST, f"{LIST}{LONDON}/change/"):
        text = offered(viewer, url)
        assert "resolve_chosen_again" not in text
        assert "forget_chosen" not in text
    assert "export_chosen" in offered(viewer)


@pytest.mark.parametrize(
    ("codename", "action", "other"),
    [
        ("change_geocache", "resolve_chosen_again", "forget_chosen"),
        ("delete_geocache", "forget_chosen", "resolve_chosen_again"),
    ],
)
def test_actions__each_needs_its_permission(client, codename, action, other):
    a_row()
    user = a_viewer()
    user.user_permissions.add(Permission.objects.get(codename=codename))
    client.force_login(user)
    for url in (LIST, f"{LIST}{LONDON}/change/"):
        assert action in offered(client, url)
        assert other not in offered(client, url)


@pytest.mark.usefixtures("provider")
def test_actions__viewer_who_posts_changes_nothing(viewer):
    a_row()
    with no_database_write(max_queries=5 * LIST_QUERIES):
        act(viewer, "resolve_chosen_again", LONDON)
        act(viewer, "forget_chosen", LONDON)
        assert forget(viewer, LONDON).status_code == 403
    assert not factory.current().asked
    assert GeoCache.objects.get().city == "London"


@pytest.mark.parametrize("who", [None, a_stranger])
def test_forget__others_are_sent_to_log_in(client, who):
    a_row()
    if who:
        client.force_login(who())
    assert client.post(FORGET, {"_selected_action": LONDON}).url.startswith("/admin/login/")
    assert client.get(EXPORT).url.startswith("/admin/login/")
    assert GeoCache.objects.exists()


def test_forget__get_does_nothing(superuser):
    assert superuser.get(FORGET, {"_selected_action": LONDON}).status_code == 405


def test_forget__needs_the_token():
    client = Client(enforce_csrf_checks=True)
    client.force_login(an_admin())
    assert client.post(FORGET, {"_selected_action": LONDON}).status_code == 403


# --- resolve again ---------------------------------------------------------------------------


@pytest.mark.usefixtures("provider")
def test_resolve_again__newer_answer_is_in_the_table_with_the_next_flush(superuser):
    a_row()
    a_row(OTHER)
    response = act(superuser, "resolve_chosen_again", LONDON)
    assert said(response) == ["1 address is resolved again; the next flush writes it here."]
    assert "Pending: 1" in response.text
    flush_dirty()
    assert GeoCache.objects.get(address=LONDON).city == "Leeds"
    assert GeoCache.objects.get(address=OTHER).city == "London"


def test_resolve_again__provider_that_fails_is_said(superuser, provider):
    a_row()
    provider.is_failing = True
    [message] = said(act(superuser, "resolve_chosen_again", LONDON))
    assert message == "Not resolved: the dummy provider was told to fail"


def test_resolve_again__fewer_answers_than_were_chosen_are_a_warning(superuser, monkeypatch):
    a_row()
    a_row(OTHER)
    monkeypatch.setattr(again, "resolve_again", lambda _: {LONDON: None})
    [message] = act(superuser, "resolve_chosen_again", LONDON, OTHER).context["messages"]
    assert message.level_tag == "warning"


@pytest.mark.usefixtures("provider")
def test_resolve_again__one_address_from_its_own_page(superuser):
    a_row()
    chosen = {"action": "resolve_chosen_again", "_selected_action": LONDON}
    assert "1 address is resolved again" in said(superuser.post(LIST, chosen, follow=True))[0]


@pytest.mark.parametrize("action", ["resolve_chosen_again", "forget_chosen"])
def test_actions__too_many_at_once_are_refused(superuser, monkeypatch, provider, action):
    monkeypatch.setattr(parameters, "CHOSEN_LIMIT", 2)
    GeoCache.objects.upsert(many_locations(3))
    response = act(superuser, action, "20.0.0.1", select_across="1")
    assert said(response) == ["Choose at most 2 rows at a time. Nothing was done."]
    assert provider.asked == []


# --- forget ----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("provider")
def test_forget__asks_and_then_row_hot_entry_and_journal_agree(superuser, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    lookup(LONDON)
    a_row(OTHER)
    flush_dirty()
    lookup(LONDON)

    asked = act(superuser, "forget_chosen", LONDON)
    assert_valid_html(asked)
    assert "Forget what is known about 1 address?" in asked.text
    assert GeoCache.objects.count() == 2

    response = forget(superuser, LONDON)
    assert said(response) == ["1 address is forgotten."]
    assert hot_entries.get_many(factory.current().build(), [LONDON]) == {}
    flush_dirty()
    assert [row.address for row in GeoCache.objects.all()] == [OTHER]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("provider")
def test_forget__is_written_to_the_history(superuser):
    a_row()
    forget(superuser, LONDON)
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_repr, entry.action_flag) == (
        User.objects.get(),
        LONDON,
        DELETION,
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("provider")
def test_forget__what_is_no_row_is_nothing(superuser):
    assert said(forget(superuser, LONDON)) == ["0 addresses are forgotten."]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("provider")
def test_forget__failure_is_one_line_and_keeps_the_row(superuser, monkeypatch):
    a_row()
    break_cache(monkeypatch)
    [message] = said(forget(superuser, LONDON))
    assert message == "Not forgotten: the cache cannot be reached: connection refused"
    assert GeoCache.objects.exists()
    assert not LogEntry.objects.exists()


# --- export ----------------------------------------------------------------------------------


def test_export__of_the_chosen(viewer):
    for address in (LONDON, OTHER, "1.1.1.1"):
        a_row(address)
    assert set(exported(act(viewer, "export_chosen", LONDON, OTHER))) == {LONDON, OTHER}


def test_export__of_the_whole_filter_writes_nothing(viewer):
    GeoCache.objects.upsert(many_locations(120, country_code="AU"))
    a_row(OTHER, country_code="US")
    with no_database_write(max_queries=LIST_QUERIES):
        response = viewer.get(EXPORT, {"country": "AU"})
        assert len(exported(response)) == 120
    assert response["Content-Disposition"] == 'attachment; filename="addresses.csv"'
    assert f'href="{EXPORT}?country=AU"' in viewer.get(LIST, {"country": "AU"}).text


def test_export__of_what_was_searched_for(viewer):
    GeoCache.objects.upsert(many_locations(3))
    assert exported(viewer.get(EXPORT, {"q": "20.0.0.2/32"})) == ["20.0.0.2"]


def test_export__filter_that_is_none_goes_back_to_the_list(viewer):
    assert viewer.get(EXPORT, {"asn": "x"}).url == LIST


def test_export__needs_the_permission_to_view(client):
    user = a_viewer()
    user.user_permissions.clear()
    client.force_login(user)
    assert client.get(EXPORT).status_code == 403


def test_export__cannot_run_in_a_spreadsheet(viewer):
    a_row(organization="=1+1")
    assert "'=1+1" in b"".join(viewer.get(EXPORT).streaming_content).decode()
