"""Write many rows where the newer one wins, the fastest way each database has.

All do the same: insert; where the primary key exists, replace the row unless it is newer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from geocache.instants import stored
from geocache.models.connection import SqliteRows

Row = tuple[Any, ...]

# Rows that the portable way compares and writes at a time.
CHUNK_ROWS: Final = 1000
# Rows for which PostgreSQL makes a temporary table; fewer are not worth its entries in the catalog.
COPY_ROWS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """How to write rows of ``fields`` into the table of ``model``.

    A row replaces the one with its primary key when its ``newest_by`` is equal or later. Fields in
    ``insert_only`` keep the value that they were inserted with; those in ``raised`` the greater one
    of both rows.
    """

    connection: BaseDatabaseWrapper
    model: type[models.Model]
    fields: Sequence[str]
    newest_by: str
    insert_only: Sequence[str] = ()
    raised: Sequence[str] = ()

    def write(self, rows: Sequence[Row]) -> None:
        """Write ``rows``, each key once, in a transaction of the caller.

        PostgreSQL, MariaDB and MySQL lock and insert in the order of ``rows``: two that write in
        one order cannot wait for each other. A row that is too old locks the one that it leaves.
        Raises what the database raises; too long a text is refused, never cut.
        """
        ways = {
            "postgresql": self._write_to_postgres,
            "sqlite": self._write_many,
            "mysql": self._write_duplicates,
        }
        if rows:
            ways.get(self.connection.vendor, self._write_portably)(rows)

    def _write_to_postgres(self, rows: Sequence[Row]) -> None:
        is_copied = len(rows) >= COPY_ROWS and self._may_copy()
        (self._write_copy if is_copied else self._write_arrays)(rows)

    def _may_copy(self) -> bool:
        with self.connection.cursor() as cursor:
            # psycopg2 has no cursor.copy(), which is psycopg's.
            if not hasattr(cursor, "copy"):
                return False
            # All users may, unless the right was revoked; to try would end the transaction.
            cursor.execute("SELECT has_database_privilege(current_database(), 'TEMPORARY')")
            return bool(cursor.fetchone()[0])

    def _write_copy(self, rows: Sequence[Row]) -> None:
        # The driver's fastest way in. The columns are as wide as the table's: too long a text is
        # refused here. Dropped at once, as a transaction may write several times.
        quote = self.connection.ops.quote_name
        columns = ", ".join(quote(field.column) for field in self._model_fields())
        copied, table = quote("geocache_copied"), quote(self.model._meta.db_table)
        chosen = f"SELECT {columns} FROM"
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"CREATE TEMPORARY TABLE {copied} ON COMMIT DROP AS {chosen} {table} WITH NO DATA"
            )
            # Django turns only what execute() raises into errors of its own.
            with (
                self.connection.wrap_database_errors,
                cursor.copy(f"COPY {copied} ({columns}) FROM STDIN") as copy,
            ):
                for row in rows:
                    copy.write_row(row)
            cursor.execute(self.statement(f"{chosen} {copied}"))
            cursor.execute(f"DROP TABLE {copied}")

    def _write_arrays(self, rows: Sequence[Row]) -> None:
        # One statement with one array a column: PostgreSQL parses and plans once.
        arrays = ", ".join(f"%s::{self._array_type(field)}" for field in self._model_fields())
        values = f"SELECT * FROM unnest({arrays})"  # noqa: S608 - made of column types only
        with self.connection.cursor() as cursor:
            cursor.execute(self.statement(values), [list(one) for one in zip(*rows, strict=True)])

    def _write_many(self, rows: Sequence[Row]) -> None:
        marks = ", ".join(["%s"] * len(self.fields))
        with self.connection.cursor() as cursor:
            cursor.executemany(self.statement(f"VALUES ({marks})"), SqliteRows(self.adapted(rows)))

    def _write_duplicates(self, rows: Sequence[Row]) -> None:
        # Decided row by row inside the one statement: a row that is read first can be inserted by
        # another flusher before this one writes, and would then be replaced by an older answer.
        marks = ", ".join(["%s"] * len(self.fields))
        with self.connection.cursor() as cursor:
            cursor.executemany(self._duplicates_statement(f"VALUES ({marks})"), self.adapted(rows))

    def _duplicates_statement(self, values: str) -> str:
        quote = self.connection.ops.quote_name
        columns = {field.name: quote(field.column) for field in self._model_fields()}
        newest = columns[self.newest_by]
        # Assigned from left to right: what is compared comes last.
        replaced = sorted(self._replaced(), key=lambda name: name == self.newest_by)
        is_newer = f"VALUES({newest}) >= {newest}"
        new = {one: f"VALUES({columns[one]})" for one in replaced}
        new |= {one: f"GREATEST({columns[one]}, {new[one]})" for one in self.raised}
        pairs = ", ".join(
            f"{columns[one]} = IF({is_newer}, {new[one]}, {columns[one]})" for one in replaced
        )
        table = quote(self.model._meta.db_table)
        return (
            f"INSERT INTO {table} ({', '.join(columns.values())}) {values} "
            f"ON DUPLICATE KEY UPDATE {pairs}"
        )

    def _write_portably(self, rows: Sequence[Row]) -> None:
        key, manager = self._key(), self.model._default_manager.using(self.connection.alias)
        has_target = self.connection.features.supports_update_conflicts_with_target
        for start in range(0, len(rows), CHUNK_ROWS):
            chunk = rows[start : start + CHUNK_ROWS]
            given = [self.model(**dict(zip(self.fields, row, strict=True))) for row in chunk]
            # Locked until the commit, so that no other flusher puts a newer one in between.
            locked = manager.select_for_update().filter(pk__in=[one.pk for one in given])
            names = (self.newest_by, *self.raised)
            held = {pk: values for pk, *values in locked.values_list(key, *names)}
            for one in given:
                for name, value in zip(self.raised, held.get(one.pk, ())[1:], strict=False):
                    setattr(one, name, max(value, getattr(one, name)))
            manager.bulk_create(
                [
                    one
                    for one in given
                    if one.pk not in held or held[one.pk][0] <= getattr(one, self.newest_by)
                ],
                update_conflicts=True,
                update_fields=self._replaced(),
                unique_fields=[key] if has_target else None,
            )

    def statement(self, values: str) -> str:
        """Return the statement that inserts ``values`` where no newer row has their key."""
        quote = self.connection.ops.quote_name
        columns = {field.name: quote(field.column) for field in self._model_fields()}
        table, newest = quote(self.model._meta.db_table), columns[self.newest_by]
        greater = "max" if self.connection.vendor == "sqlite" else "greatest"
        new = {one: f"excluded.{columns[one]}" for one in self._replaced()}
        new |= {one: f"{greater}({table}.{columns[one]}, {new[one]})" for one in self.raised}
        replaced = ", ".join(f"{columns[one]} = {value}" for one, value in new.items())
        return (
            f"INSERT INTO {table} ({', '.join(columns.values())}) {values} "
            f"ON CONFLICT ({columns[self._key()]}) DO UPDATE SET {replaced} "
            f"WHERE {table}.{newest} <= excluded.{newest}"
        )

    def _key(self) -> str:
        return self.model._meta.pk.name

    def _replaced(self) -> list[str]:
        return [
            name for name in self.fields if name != self._key() and name not in self.insert_only
        ]

    def _model_fields(self) -> list[Any]:
        return [self.model._meta.get_field(name) for name in self.fields]

    def _array_type(self, field: Any) -> str:
        # A cast to varchar(n) cuts a long text without a word; one to text leaves it to be refused.
        db_type = field.db_type(self.connection)
        return "text[]" if db_type.startswith("varchar") else f"{db_type}[]"

    def adapted(self, rows: Sequence[Row]) -> list[list[Any]]:
        """Return ``rows`` as the driver of SQLite, MariaDB or MySQL takes them."""
        adapted = [[*row] for row in rows]
        given: list[Any] = []
        texts: list[str] = []
        for at, field in enumerate(self._model_fields()):
            if not isinstance(field, models.DateField):
                continue
            column = [row[at] for row in rows]
            # Moments of one column are often those of another.
            if column != given:
                given, texts = column, self._texts(field, column)
            for row, text in zip(adapted, texts, strict=True):
                row[at] = text
        return adapted

    def _texts(self, field: Any, values: Sequence[Any]) -> list[str]:
        if isinstance(field, models.DateTimeField):
            return list(self._adapted_moments(values))
        # As text at once: for each date the driver of SQLite would call Django.
        texts = {day: day.isoformat() for day in set(values)}
        return [texts[day] for day in values]

    def _adapted_moments(self, moments: Sequence[datetime]) -> Iterator[str]:
        zone = self.connection.timezone or UTC
        last: datetime | None = None
        text = ""
        for moment in moments:
            # One look-up gives all of its answers one moment.
            if moment != last:
                # Nearly all are in UTC: to have Django convert each takes as long as all else.
                is_plain = moment.tzinfo is UTC is zone
                text = moment.isoformat(" ")[: -len("+00:00")] if is_plain else self._text(moment)
                last = moment
            yield text

    def _text(self, moment: datetime) -> str:
        moment = stored(moment, self.connection)
        return str(self.connection.ops.adapt_datetimefield_value(moment))
