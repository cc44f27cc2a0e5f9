import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connections
from django.test import Client

from geocache import conf
from geocache.admin import setting_pages
from geocache.admin.setting_rows import mark
from geocache.models import SettingOverride
from geocache.runtime_settings import overrides
from geocache.runtime_settings.catalogue import ENTRIES
from tests.factories import a_stranger, a_viewer, an_admin
from tests.support.assertions import assert_no_inline_code, assert_valid_html, no_database_write

pytestmark = pytest.mark.django_db
LIST = "/admin/geocache/settingoverride/"
# Session, user, and the stored settings twice: to count them in this process, and to show them.
LIST_QUERIES = 4


def effective(name: str) -> Any:
    """Return what counts once the transaction is committed that the test is in."""
    overrides.refresh()
    return conf.get(name)


def form(name: str) -> str:
    return f"{LIST}{name}/change/"


def seen_on(response: Any) -> str:
    found = re.search(r'name="seen" value="([^"]*)"', response.text)
    assert found
    return found[1]


def post(client: Client, name: str, value: str, **fields: str) -> Any:
    fields.setdefault("seen", seen_on(client.get(form(name))))
    return client.post(form(name), {"value": value, **fields})


def reset(client: Client, name: str, **fields: str) -> Any:
    fields.setdefault("seen", seen_on(client.get(form(name))))
    return client.post(f"{LIST}{name}/reset/", fields, follow=True)


def may(*codenames: str) -> User:
    user = a_viewer()
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    return user


def test_list__has_each_setting_and_writes_nothing(superuser: Client) -> None:
    with no_database_write(max_queries=LIST_QUERIES):
        response = superuser.get(LIST)
    assert_no_inline_code(assert_valid_html(response))
    for name, entry in ENTRIES.items():
        assert f"<code>{name}</code>" in response.text
        assert form(name) in response.text
        assert str(entry.group.value) in response.text
    assert "1,000,000" in response.text
    assert "60 s" in response.text


@pytest.mark.slow
@pytest.mark.any_services
def test_form__of_each_setting_is_valid_and_saves_what_it_shows(superuser: Client) -> None:
    kinds: set[type] = set()
    for name in ENTRIES:
        with no_database_write(max_queries=LIST_QUERIES):
            response = superuser.get(form(name))
        assert_no_inline_code(assert_valid_html(response))
        value = response.context["form"].initial["value"]
        assert post(superuser, name, value, seen=seen_on(response)).status_code == 302
        assert SettingOverride.objects.get(name=name).value == conf.value_below(name)
        kind = type(ENTRIES[name].kind)
        if kind not in kinds:
            # The form of a changed setting has the same parts whatever its name.
            assert_valid_html(superuser.get(form(name)))
            kinds.add(kind)
    assert_valid_html(superuser.get(LIST))


def test_form__saves_and_tells_who_and_what_in_the_history(superuser: Client) -> None:
    assert post(superuser, "FLUSH_INTERVAL_SECONDS", "30").url == LIST
    stored = SettingOverride.objects.get()
    assert (stored.name, stored.value, stored.changed_by) == (
        "FLUSH_INTERVAL_SECONDS",
        30,
        "admin",
    )
    assert effective("FLUSH_INTERVAL_SECONDS") == 30
    text = superuser.get(LIST).text
    assert "is now 30 s. It counts in every process within 10 seconds." in text
    assert "Back to 60 s" in text
    entry = LogEntry.objects.get()
    assert entry.get_change_message() == "FLUSH_INTERVAL_SECONDS: 60 s → 30 s"
    history = superuser.get(f"{LIST}FLUSH_INTERVAL_SECONDS/history/")
    assert "60 s → 30 s" in history.text


def test_reset__is_one_click_and_in_the_history(superuser: Client) -> None:
    post(superuser, "FLUSH_INTERVAL_SECONDS", "30")
    response = reset(superuser, "FLUSH_INTERVAL_SECONDS")
    assert "Time between two flushes is reset." in response.text
    assert effective("FLUSH_INTERVAL_SECONDS") == 60
    assert not SettingOverride.objects.exists()
    messages = [one.get_change_message() for one in LogEntry.objects.order_by("pk")]
    assert messages[1] == "FLUSH_INTERVAL_SECONDS: 30 s → 60 s"
    assert superuser.get(f"{LIST}FLUSH_INTERVAL_SECONDS/history/").status_code == 200


def test_reset__of_what_is_not_changed_does_nothing(superuser: Client) -> None:
    reset(superuser, "FLUSH_INTERVAL_SECONDS")
    assert not SettingOverride.objects.exists()
    assert not LogEntry.objects.exists()


def test_form__refuses_with_one_line_and_keeps_what_was_entered(superuser: Client) -> None:
    response = post(superuser, "FLUSH_INTERVAL_SECONDS", "0")
    assert_valid_html(response)
    assert "Enter a number from 1 to 86,400." in response.text
    assert 'value="0"' in response.text
    assert not SettingOverride.objects.exists()


@pytest.mark.parametrize("given", [{}, {"seen": "x"}, {"value": "30"}, {"value": "\0"}])
def test_form__forged_fields_change_nothing(superuser: Client, given: dict[str, str]) -> None:
    assert superuser.post(form("FLUSH_INTERVAL_SECONDS"), given).status_code == 200
    assert not SettingOverride.objects.exists()


def test_form__second_operator_is_told_and_does_not_overwrite(superuser: Client) -> None:
    seen = seen_on(superuser.get(form("FLUSH_INTERVAL_SECONDS")))
    overrides.change("FLUSH_INTERVAL_SECONDS", 45, by="ann")
    response = post(superuser, "FLUSH_INTERVAL_SECONDS", "30", seen=seen)
    assert "Not saved: ann changed the setting to 45 s meanwhile." in response.text
    assert effective("FLUSH_INTERVAL_SECONDS") == 45
    later = seen_on(response)
    overrides.reset("FLUSH_INTERVAL_SECONDS", by="ann")
    response = post(superuser, "FLUSH_INTERVAL_SECONDS", "30", seen=later)
    assert "the setting was reset while this form was open" in response.text
    assert not SettingOverride.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("superuser")
def test_form__of_operators_who_save_at_the_same_moment_one_is_let_in() -> None:
    admin = User.objects.get(username="admin")

    def save(seconds: int) -> int:
        client = Client()
        client.force_login(admin)
        start.wait()
        try:
            return post(client, "FLUSH_INTERVAL_SECONDS", str(seconds), seen="-").status_code
        finally:
            connections.close_all()

    start = Barrier(3)
    with ThreadPoolExecutor(3) as threads:
        statuses = sorted(threads.map(save, (30, 40, 50)))
    assert statuses == [200, 200, 302]
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("act", [post, reset])
def test_form__database_that_takes_no_change_is_told(
    superuser: Client, monkeypatch: pytest.MonkeyPatch, act: Any
) -> None:
    overrides.change("HISTORY_DAYS", 9, by="ann")
    fails = Mock(side_effect=OperationalError("database is locked"))
    monkeypatch.setattr(setting_pages, "claim", fails)
    given = ("10",) if act is post else ()
    response = act(superuser, "HISTORY_DAYS", *given, confirmed="reset")
    if act is post:
        response = superuser.get(response.url)
    assert "Not saved: the database did not take the change (database is locked)" in response.text
    assert SettingOverride.objects.get().value == 9


def test_reset__second_operator_is_told(superuser: Client) -> None:
    overrides.change("FLUSH_INTERVAL_SECONDS", 45, by="ann")
    seen = seen_on(superuser.get(form("FLUSH_INTERVAL_SECONDS")))
    overrides.change("FLUSH_INTERVAL_SECONDS", 50, by="bob")
    response = reset(superuser, "FLUSH_INTERVAL_SECONDS", seen=seen)
    assert "Not saved: bob changed the setting to 50 s meanwhile." in response.text
    assert effective("FLUSH_INTERVAL_SECONDS") == 50


def test_form__says_what_will_happen_before_it_saves(superuser: Client) -> None:
    response = post(superuser, "RETENTION_DAYS", "30")
    assert_valid_html(response)
    assert "This cannot be undone." in response.text
    assert "Save anyway" in response.text
    assert not SettingOverride.objects.exists()
    # Another value than the one whose consequence was shown is shown its own.
    assert "Save anyway" in post(superuser, "RETENTION_DAYS", "20", confirmed="=30").text
    assert post(superuser, "RETENTION_DAYS", "30", confirmed="=30").status_code == 302
    assert effective("RETENTION_DAYS") == 30


def test_reset__says_what_will_happen_before_it_resets(settings: Any, superuser: Client) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "RETENTION_DAYS": 10}
    overrides.change("RETENTION_DAYS", 0, by="ann")
    response = reset(superuser, "RETENTION_DAYS")
    assert_valid_html(response)
    assert "This cannot be undone." in response.text
    assert effective("RETENTION_DAYS") == 0
    reset(superuser, "RETENTION_DAYS", confirmed="reset")
    assert effective("RETENTION_DAYS") == 10


def test_rate__limit_of_strangers_that_ends_is_confirmed_as_the_empty_text(
    settings: Any, superuser: Client
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": True}
    response = post(superuser, "PUBLIC_TOTAL_RATE", "")
    confirmed = re.search(r'name="confirmed" value="([^"]*)"', response.text)
    assert confirmed
    assert post(superuser, "PUBLIC_TOTAL_RATE", "", confirmed=confirmed[1]).status_code == 302
    assert effective("PUBLIC_TOTAL_RATE") is None


def test_locked__says_so_and_cannot_be_changed(settings: Any, superuser: Client) -> None:
    overrides.change("MEMORY_SIZE", 5, by="ann")
    settings.GEOCACHE = {**settings.GEOCACHE, "LOCKED_SETTINGS": ["MEMORY_SIZE"]}
    text = superuser.get(LIST).text
    assert "locked by the settings file" in text
    assert "The value of the admin is ignored." in text
    response = superuser.get(form("MEMORY_SIZE"))
    assert 'name="value"' not in response.text
    seen = mark(SettingOverride.objects.get())
    response = superuser.post(form("MEMORY_SIZE"), {"value": "7", "seen": seen})
    assert response.status_code == 200
    assert SettingOverride.objects.get().value == 5


@pytest.mark.parametrize("by", ["", " ann ", "a\tb", "ann\r\nbob", '"><script>', "Åsa \u202e"])
def test_form__saves_whatever_the_name_of_who_changed_it_before(superuser: Client, by: str) -> None:
    overrides.change("MEMORY_SIZE", 5, by=by)
    assert post(superuser, "MEMORY_SIZE", "6").status_code == 302
    assert SettingOverride.objects.get().value == 6


@pytest.mark.parametrize("name", ["TOP_40_SIZE", "a/b", "<script>", " ", "?x", "../x"])
def test_unknown__name_of_any_kind_is_shown_and_removed(superuser: Client, name: str) -> None:
    overrides.change("MEMORY_SIZE", 5, by="ann")
    SettingOverride.objects.update(name=name)
    response = superuser.get(LIST)
    assert_valid_html(response)
    target = re.search(r'action="(/admin/geocache/settingoverride/.*/reset/)"', response.text)
    assert target
    superuser.post(target[1], {"seen": seen_on(response)})
    assert not SettingOverride.objects.exists()


def test_unknown__row_without_a_name_does_not_hide_the_others(superuser: Client) -> None:
    overrides.change("MEMORY_SIZE", 5, by="ann")
    SettingOverride.objects.update(name="")
    assert_valid_html(superuser.get(LIST))


def test_unknown__stored_settings_are_shown_and_removed(superuser: Client) -> None:
    overrides.change("MEMORY_SIZE", 5, by="ann")
    SettingOverride.objects.update(name="OLD_SETTING")
    response = superuser.get(LIST)
    assert_valid_html(response)
    assert "OLD_SETTING" in response.text
    assert superuser.get(form("OLD_SETTING")).status_code == 404
    superuser.post(f"{LIST}OLD_SETTING/reset/", {"seen": seen_on(response)})
    assert not SettingOverride.objects.exists()


def test_list__folds_what_is_long(superuser: Client) -> None:
    post(superuser, "NEVER_BAN", "\n".join(f"192.0.2.{n}" for n in range(9)))
    text = superuser.get(LIST).text
    assert "<summary>9 entries</summary>" in text


def test_list__names_the_variable_and_the_settings_file(
    settings: Any, superuser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOCACHE_HISTORY", "9")
    settings.GEOCACHE = {
        "HISTORY_DAYS": 9,
        "MEMORY_SIZE": 5,
        "ENVIRONMENT_VARIABLES": {"HISTORY_DAYS": "GEOCACHE_HISTORY"},
        "UPDATE_DAYS": 0,
    }
    text = superuser.get(LIST).text
    assert "environment (GEOCACHE_HISTORY)" in text
    assert "settings file" in text


@pytest.mark.parametrize("who", [None, a_stranger])
@pytest.mark.parametrize("url", [LIST, form("MEMORY_SIZE"), f"{LIST}MEMORY_SIZE/reset/"])
def test_pages__others_are_sent_to_log_in(client: Client, who: Any, url: str) -> None:
    if who:
        client.force_login(who())
    assert client.get(url).status_code == 302


def test_pages__others_of_the_staff_see_nothing(client: Client) -> None:
    client.force_login(a_viewer_without())
    assert client.get(LIST).status_code == 403
    assert client.get(form("MEMORY_SIZE")).status_code == 403


def a_viewer_without() -> User:
    user = a_viewer()
    user.user_permissions.remove(*Permission.objects.filter(codename="view_settingoverride"))
    return User.objects.get(pk=user.pk)


def test_pages__those_who_may_view_cannot_change(client: Client) -> None:
    overrides.change("MEMORY_SIZE", 5, by="ann")
    client.force_login(may("view_settingoverride"))
    for url in (LIST, form("MEMORY_SIZE")):
        response = client.get(url)
        assert_valid_html(response)
        assert "Back to" not in response.text
        assert 'name="value"' not in response.text
    assert client.post(form("MEMORY_SIZE"), {"value": "7"}).status_code == 403
    assert client.post(f"{LIST}MEMORY_SIZE/reset/").status_code == 403
    assert effective("MEMORY_SIZE") == 5


def test_pages__those_who_may_change_can(client: Client) -> None:
    client.force_login(may("view_settingoverride", "change_settingoverride"))
    assert post(client, "MEMORY_SIZE", "7").status_code == 302
    assert SettingOverride.objects.get().changed_by == "viewer"


def test_pages__nobody_adds_or_deletes(superuser: Client) -> None:
    overrides.change("MEMORY_SIZE", 5, by="ann")
    assert superuser.get(f"{LIST}add/").status_code == 403
    assert superuser.post(f"{LIST}MEMORY_SIZE/delete/", {"post": "yes"}).status_code == 403
    assert superuser.get(f"{LIST}MEMORY_SIZE/reset/").status_code == 405
    assert superuser.get(form("PROVIDER")).status_code == 404
    assert SettingOverride.objects.exists()


def test_pages__forms_need_their_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(an_admin())
    assert client.post(form("MEMORY_SIZE"), {"value": "7", "seen": "-"}).status_code == 403
    assert client.post(f"{LIST}MEMORY_SIZE/reset/").status_code == 403


def test_index__links_to_the_settings(superuser: Client) -> None:
    text = superuser.get("/admin/").text
    assert f'href="{LIST}"' in text
    assert f'href="{LIST}add/"' not in text
