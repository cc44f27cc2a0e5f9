from collections.abc import Iterator
from typing import Any

import pytest
from django.core import checks
from django.db import connection, connections

from geocache import conf

needs_mariadb = pytest.mark.skipif(
    "connection.vendor != 'mysql'", reason="needs MariaDB as the database"
)


def ids(**options: Any) -> set[str]:
    messages = checks.run_checks(**options)
    return {message.id for message in messages if (message.id or "").startswith("geo")}


class SplitRouter:
    def db_for_write(self, model: Any, **_: Any) -> str | None:
        return "other" if model._meta.model_name in ("journalhead", "rejectedentry") else None


class TokenRouter:
    """What people write first: all of the app."""

    def db_for_write(self, model: Any, **_: Any) -> str | None:
        return "default" if model._meta.app_label == "geocache" else "other"


def test_check_routers__names_the_tables_of_another_database(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [f"{__name__}.SplitRouter"]

    (found,) = [one for one in checks.run_checks() if one.id == "geocache.E021"]

    assert "elsewhere JournalHead, RejectedEntry" in found.msg


def test_check_routers__tokens_apart_from_their_users_are_an_error(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [f"{__name__}.TokenRouter"]

    assert "geocache.E022" in ids()


def test_check_sqlite__warns_when_it_does_not_wait_for_its_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    default = connections["default"]
    monkeypatch.setattr(default, "vendor", "sqlite")
    monkeypatch.setitem(default.settings_dict, "OPTIONS", {})

    assert "geocache.W004" in ids()


@pytest.mark.django_db
def test_checks__have_nothing_to_say_of_the_tests_database() -> None:
    assert ids(databases=["default"]) == set()


@pytest.fixture
def changed_table(request: Any) -> Iterator[None]:
    """Change a table, and then change it back."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE geocache_ban {request.param[0]}")
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE geocache_ban {request.param[1]}")


@needs_mariadb
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("changed_table")
@pytest.mark.parametrize(
    "changed_table", [("ENGINE = MyISAM", "ENGINE = InnoDB")], indirect=True, ids=["MyISAM"]
)
def test_check_engine__without_transactions_is_an_error() -> None:
    assert ids(databases=["default"]) == {"geocache.E023"}


@needs_mariadb
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("changed_table")
@pytest.mark.parametrize(
    "changed_table",
    [("CONVERT TO CHARACTER SET latin1", "CONVERT TO CHARACTER SET utf8mb4")],
    indirect=True,
    ids=["latin1"],
)
def test_check_encoding__warns_of_one_that_lacks_characters() -> None:
    assert ids(databases=["default"]) == {"geocache.W023"}


@needs_mariadb
@pytest.mark.django_db
def test_check_time_zone_tables__warns_of_a_zone_that_the_server_does_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conf, "time_zone", lambda: "Nowhere/Land")

    assert ids(databases=["default"]) == {"geocache.W024"}
