"""System checks of the databases; those that ask one run with ``check --database`` and ``migrate``.

What Django itself checks is not repeated: ``mysql.W002`` finds a server that cuts text silently.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from django.apps import apps
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from geocache import conf
from geocache.models.connection import writing_alias, writing_connection
from geocache.models.tokens import ApiToken

HINT: Final = "See docs/databases.md."
# The default is that of tables which a later migration creates.
ENGINES: Final = """
    SELECT ENGINE FROM information_schema.ENGINES
    WHERE COALESCE(TRANSACTIONS, 'NO') <> 'YES' AND (SUPPORT = 'DEFAULT' OR ENGINE IN (
        SELECT ENGINE FROM information_schema.TABLES
        WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'geocache|_%%' ESCAPE '|'))
"""
MYSQL_ENCODINGS: Final = """
    SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA
    WHERE SCHEMA_NAME = DATABASE()
    UNION
    SELECT CHARACTER_SET_NAME FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'geocache|_%%' ESCAPE '|'
    AND CHARACTER_SET_NAME IS NOT NULL
"""
# By vendor: how to ask for the encodings in use, and the one that has every character.
ENCODINGS: Final = {
    "mysql": [(MYSQL_ENCODINGS, "utf8mb4")],
    "postgresql": [("SHOW server_encoding", "UTF8")],
}


@register()
def check_routers(**_: Any) -> list[CheckMessage]:
    """Check that no transaction of ours, and no foreign key, spans two databases."""
    tables = set(apps.get_app_config("geocache").get_models()) - {ApiToken}
    alias, user = writing_alias(), _users()
    elsewhere = sorted(one.__name__ for one in tables if router.db_for_write(one) != alias)
    found: list[CheckMessage] = []
    if elsewhere:
        found.append(
            Error(
                f"A router writes GeoCache to {alias!r}, and elsewhere {', '.join(elsewhere)}: "
                "no transaction spans two databases.",
                hint=f"Route all models of geocache but ApiToken to one database. {HINT}",
                id="geocache.E021",
            )
        )
    if user and router.db_for_write(ApiToken) != router.db_for_write(user):
        found.append(
            Error(
                f"A router writes ApiToken to {router.db_for_write(ApiToken)!r}, and its users to "
                f"{router.db_for_write(user)!r}: no foreign key spans two databases.",
                hint=f"Route the model ApiToken of geocache to the database of the users. {HINT}",
                id="geocache.E022",
            )
        )
    return found


@register()
def check_users(**_: Any) -> list[CheckMessage]:
    """Check that there is a model of users, who have permissions and tokens."""
    if _users():
        return []
    return [
        Error(
            f"geocache needs a model of users, but {conf.user_model()} is not installed.",
            hint='Add "django.contrib.auth" and "django.contrib.contenttypes" to INSTALLED_APPS, '
            "or set AUTH_USER_MODEL to a model of your own.",
            id="geocache.E064",
        )
    ]


def _users() -> type[Model] | None:
    with suppress(LookupError):
        return apps.get_model(conf.user_model())
    return None


@register()
def check_sqlite(**_: Any) -> list[CheckMessage]:
    """Check that SQLite waits for its lock instead of failing a flush or killing the scheduler."""
    connection = writing_connection()
    options = connection.settings_dict.get("OPTIONS", {})
    is_ready = options.get("transaction_mode") == "IMMEDIATE" and options.get("timeout", 5) >= 10
    if connection.vendor != "sqlite" or is_ready:
        return []
    return [
        Caution(
            'SQLite says "database is locked" when web server and scheduler write at once.',
            hint='Set OPTIONS={"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": '
            f'"PRAGMA journal_mode=WAL"}} for the database {connection.alias!r}.',
            id="geocache.W004",
        )
    ]


@register(Tags.database)
def check_engine(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Check that tables take part in transactions."""
    return [
        Error(
            f"Tables of geocache have, or would get, the engine {engine}, which knows no "
            "transactions: what a killed flush or import has begun stays.",
            hint=f"Set default_storage_engine to InnoDB, and convert the tables. {HINT}",
            id="geocache.E023",
        )
        for connection in _asked(databases)
        if connection.vendor == "mysql"
        for engine in _column(connection, ENGINES)
    ]


@register(Tags.database)
def check_encoding(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Check that the database can hold every place name."""
    return [
        Caution(
            f"The database, or a table of geocache in it, has the encoding {encoding}: an answer "
            "with a character that it lacks is set aside as a rejected entry.",
            hint=f"Convert the database and its tables to {wanted}. {HINT}",
            id="geocache.W023",
        )
        for connection in _asked(databases)
        for query, wanted in ENCODINGS.get(connection.vendor, ())
        for encoding in _column(connection, query)
        if encoding != wanted
    ]


@register(Tags.database)
def check_time_zone_tables(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Check that MariaDB or MySQL can tell the day of a moment in the project's time zone."""
    name = conf.time_zone()
    return [
        Caution(
            f"{connection.display_name} does not know the time zone {name}: what counts by days "
            "fails, as the statistics and the date links of the admin do.",
            hint="Load its tables: mariadb-tzinfo-to-sql (or mysql_tzinfo_to_sql) "
            f"/usr/share/zoneinfo | mariadb mysql. {HINT}",
            id="geocache.W024",
        )
        for connection in _asked(databases)
        # Django converts nothing to the zone that moments are kept in.
        if connection.vendor == "mysql" and name != connection.timezone_name
        if _column(connection, "SELECT CONVERT_TZ('2001-01-01', 'UTC', %s)", name) == [None]
    ]


def _asked(databases: Sequence[str] | None) -> list[BaseDatabaseWrapper]:
    """Return the connection to write by, if the command may ask its database."""
    connection = writing_connection()
    return [connection] if connection.alias in (databases or ()) else []


def _column(connection: BaseDatabaseWrapper, query: str, *values: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return [value for (value,) in cursor.fetchall()]
