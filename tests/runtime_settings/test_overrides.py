import threading
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection, transaction
from structlog.testing import capture_logs

from geocache import conf
from geocache.exceptions import SettingRefused
from geocache.models import SettingOverride
from geocache.runtime_settings import catalogue, document, overrides
from tests.factories import a_location, an_admin
from tests.support.assertions import no_database_write

TTL = "TTL_SECONDS"


def events(logs: list[Any], name: str) -> list[Any]:
    return [event for event in logs if event["event"] == name]


@pytest.mark.django_db(transaction=True)
def test_change__counts_at_once_and_says_by_whom() -> None:
    with capture_logs() as logs:
        overrides.change(TTL, 60, by="anna")
    assert (conf.get(TTL), conf.source(TTL)) == (60, "admin")
    row = overrides.stored()[TTL]
    assert (row.value, row.changed_by) == (60, "anna")
    [event] = events(logs, "geo_setting_changed")
    assert (event["setting"], event["by"], event["source"]) == (TTL, "anna", "admin")


@pytest.mark.django_db(transaction=True)
def test_change__again_replaces_the_value() -> None:
    overrides.change(TTL, 60, by="anna")
    overrides.change(TTL, 70, by="bert")
    assert conf.get(TTL) == 70
    assert overrides.stored()[TTL].changed_by == "bert"


@pytest.mark.usefixtures("used_cache")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOOKUP_RATE", None),
        ("PUBLIC_LOOKUP", True),
        ("NEVER_BAN", ["192.0.2.0/24"]),
        ("BAN_MIN_SCORES", {"ipsum": 3}),
        ("PUBLIC_QUERY_RATE", "5/day"),
    ],
)
def test_change__value_of_each_kind_is_the_same_after_it_was_stored(name: str, value: Any) -> None:
    overrides.change(name, value, by="anna")
    conf.override({})
    overrides.refresh()
    assert conf.source(name) == "admin"
    assert conf.get(name) == value
    assert (document.read() or {})[name] == value


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("name", "value"), [(TTL, "long"), ("DATABASES", []), ("NO_SUCH", 1)])
def test_change__value_that_cannot_be_is_refused_in_one_line(name: str, value: Any) -> None:
    with pytest.raises(SettingRefused) as refusal:
        overrides.change(name, value, by="anna")
    assert "\n" not in str(refusal.value)
    assert not SettingOverride.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_change__of_a_locked_setting_is_refused(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "LOCKED_SETTINGS": [TTL]}
    with pytest.raises(SettingRefused, match=f"{TTL} is locked"):
        overrides.change(TTL, 60, by="anna")


@pytest.mark.django_db(transaction=True)
def test_change__that_is_rolled_back_never_counts() -> None:
    before = conf.get(TTL)
    with transaction.atomic():
        overrides.change(TTL, 60, by="anna")
        transaction.set_rollback(True)
    assert conf.get(TTL) == before
    assert document.read() is None


@pytest.mark.django_db(transaction=True)
def test_reset__has_the_file_count_again() -> None:
    before = conf.get(TTL)
    overrides.change(TTL, 60, by="anna")
    with capture_logs() as logs:
        overrides.reset(TTL, by="bert")
        overrides.reset(TTL, by="bert")
    assert (conf.get(TTL), conf.source(TTL)) == (before, "default")
    assert overrides.stored() == {}
    [event] = events(logs, "geo_setting_changed")
    assert (event["by"], event["source"]) == ("bert", "default")


@pytest.mark.django_db(transaction=True)
def test_reset__of_a_locked_or_unknown_name_is_allowed(settings: Any) -> None:
    store(**{TTL: 60, "OLD_NAME": 1})
    settings.GEOCACHE = {**settings.GEOCACHE, "LOCKED_SETTINGS": ["*"]}
    for name in (TTL, "OLD_NAME"):
        overrides.reset(name, by="anna")
    assert overrides.stored() == {}


def store(**values: Any) -> None:
    """Store what another process has changed, or another release."""
    for name, value in values.items():
        SettingOverride.objects.create(
            name=name, value=value, changed_by="anna", changed_at=a_location().resolved_at
        )


@pytest.mark.django_db
def test_refresh__applies_what_is_stored() -> None:
    store(**{TTL: 60})
    overrides.refresh()
    assert conf.get(TTL) == 60
    SettingOverride.objects.all().delete()
    overrides.refresh()
    assert conf.source(TTL) == "default"


@pytest.mark.django_db
def test_refresh__is_one_query() -> None:
    with no_database_write(max_queries=1):
        overrides.refresh()


@pytest.mark.django_db
def test_refresh__ignores_what_cannot_be_used_says_so_once_and_applies_the_rest() -> None:
    store(**{TTL: 60, "MEMORY_SIZE": "big", "OLD_NAME": 1, "NEVER_BAN": None})
    with capture_logs() as logs:
        overrides.refresh()
        overrides.refresh()
    assert conf.get(TTL) == 60
    ignored = events(logs, "geo_setting_ignored")
    assert sorted(event["setting"] for event in ignored) == ["MEMORY_SIZE", "NEVER_BAN", "OLD_NAME"]
    assert {event["help"] for event in ignored} == {"docs/troubleshooting.md#setting-ignored"}
    assert conf.get("MEMORY_SIZE") == conf.DEFAULTS["MEMORY_SIZE"]


@pytest.mark.django_db
def test_refresh__a_rule_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    real = catalogue.problem

    def fail(name: str, value: Any) -> str:
        if name == "MEMORY_SIZE":
            raise RecursionError("deep")
        return real(name, value)

    monkeypatch.setattr(catalogue, "problem", fail)
    store(MEMORY_SIZE=5, **{TTL: 60})
    overrides.refresh()
    assert (conf.get(TTL), conf.source("MEMORY_SIZE")) == (60, "default")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "error",
    [
        OperationalError("server closed the connection"),
        ImproperlyConfigured("no database"),
        RuntimeError("not allowed"),
    ],
)
def test_refresh__where_the_table_cannot_be_read_what_counted_still_counts(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    store(**{TTL: 60})
    overrides.refresh()

    def fail() -> Any:
        raise error

    monkeypatch.setattr(SettingOverride, "written", fail)
    with capture_logs() as logs:
        overrides.refresh()
        overrides.refresh()
    assert conf.get(TTL) == 60
    said = [event for event in logs if event["log_level"] == "warning"]
    assert len(said) == isinstance(error, OperationalError)


@pytest.mark.django_db(transaction=True)
def test_refresh__before_migrate_is_silent_and_breaks_no_transaction() -> None:
    with connection.schema_editor() as editor:
        editor.delete_model(SettingOverride)
    try:
        with capture_logs() as logs, transaction.atomic():
            overrides.refresh()
            an_admin()
        assert [event for event in logs if event["log_level"] == "warning"] == []
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(SettingOverride)


def test_refresh__where_a_test_forbids_the_database_it_raises_nothing() -> None:
    overrides.refresh()


@pytest.mark.django_db(transaction=True)
def test_refresh__that_has_read_before_a_change_does_not_undo_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = overrides.read_table

    def slow() -> Any:
        monkeypatch.setattr(overrides, "read_table", real)
        read = real()
        other = threading.Thread(target=change_in_thread)
        other.start()
        other.join()
        return read

    monkeypatch.setattr(overrides, "read_table", slow)
    overrides.refresh()
    assert conf.get(TTL) == 60


def change_in_thread() -> None:
    try:
        overrides.change(TTL, 60, by="anna")
    finally:
        connection.close()
