"""Write many rows where the newer one wins, the fastest way each database has.

All do the same: insert; where the primary key exists, replace the row unless it is newer.
"""

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

Rows = Sequence[tuple[Any, ...]]

CHUNK_ROWS = 1000


def upsert_rows(
    connection: BaseDatabaseWrapper,
    model: type[models.Model],
    names: Sequence[str],
    rows: Rows,
    *,
    newest_by: str,
    insert_only: Sequence[str] = (),
) -> None:
    """Upsert ``rows`` of the fields ``names``; an equal or older ``newest_by`` is replaced.

    Fields in ``insert_only`` keep the value that they were inserted with. To be called inside a
    transaction; raises what the database raises.
    """
    if not rows:
        return
    fields = [model._meta.get_field(name) for name in names]
    if connection.vendor == "postgresql":
        types = ", ".join(f"%s::{_array_type(field, connection)}" for field in fields)
        statement = _statement(connection, model, fields, newest_by, insert_only)
        with connection.cursor() as cursor:
            cursor.execute(
                statement.format(values=f"SELECT * FROM unnest({types})"),
                [list(column) for column in zip(*rows, strict=True)],
            )
    elif connection.vendor == "sqlite":
        marks = ", ".join(["%s"] * len(fields))
        statement = _statement(connection, model, fields, newest_by, insert_only)
        with connection.cursor() as cursor:
            cursor.executemany(
                statement.format(values=f"VALUES ({marks})"), _adapted(connection, fields, rows)
            )
    else:
        _upsert_portably(connection, model, names, rows, newest_by, insert_only)


def _statement(
    connection: BaseDatabaseWrapper,
    model: type[models.Model],
    fields: Sequence[Any],
    newest_by: str,
    insert_only: Sequence[str],
) -> str:
    quote = connection.ops.quote_name
    table, key = quote(model._meta.db_table), quote(model._meta.pk.column)
    newest = quote(model._meta.get_field(newest_by).column)
    columns = [quote(field.column) for field in fields]
    replaced = [
        f"{column} = excluded.{column}"
        for field, column in zip(fields, columns, strict=True)
        if column != key and field.name not in insert_only
    ]
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) {{values}} "
        f"ON CONFLICT ({key}) DO UPDATE SET {', '.join(replaced)} "
        f"WHERE {table}.{newest} <= excluded.{newest}"
    )


def _array_type(field: Any, connection: BaseDatabaseWrapper) -> str:
    # A cast to varchar(n) cuts a long text without a word; a cast to text leaves it to be refused.
    db_type = field.db_type(connection)
    return "text[]" if db_type.startswith("varchar") else f"{db_type}[]"


def _adapted(connection: BaseDatabaseWrapper, fields: Sequence[Any], rows: Rows) -> Rows:
    moments = [i for i, field in enumerate(fields) if isinstance(field, models.DateTimeField)]
    adapted = []
    for row in rows:
        values = list(row)
        for index in moments:
            values[index] = connection.ops.adapt_datetimefield_value(values[index])
        adapted.append(tuple(values))
    return adapted


def _upsert_portably(
    connection: BaseDatabaseWrapper,
    model: type[models.Model],
    names: Sequence[str],
    rows: Rows,
    newest_by: str,
    insert_only: Sequence[str],
) -> None:
    key = model._meta.pk.name
    manager = model._default_manager.using(connection.alias)
    replaced = [name for name in names if name != key and name not in insert_only]
    for start in range(0, len(rows), CHUNK_ROWS):
        given = [
            model(**dict(zip(names, row, strict=True))) for row in rows[start : start + CHUNK_ROWS]
        ]
        # Locked until the commit, so that no other flusher can put a newer one in between.
        held = dict(
            manager.select_for_update()
            .filter(pk__in=[one.pk for one in given])
            .values_list(key, newest_by)
        )
        due = [
            one for one in given if one.pk not in held or held[one.pk] <= getattr(one, newest_by)
        ]
        has_target = connection.features.supports_update_conflicts_with_target
        manager.bulk_create(
            due,
            update_conflicts=True,
            update_fields=replaced,
            unique_fields=[key] if has_target else None,
        )
