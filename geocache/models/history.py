"""Answers that were replaced by different ones, each with the time for which it was valid.

They are kept in the transaction that replaces them. A flush that is repeated finds the newer answer
in its place already and keeps nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar, Final, Self

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from geocache.batches import batches
from geocache.instants import InstantField
from geocache.location import FIELDS
from geocache.models.columns import AnswerFields

# What a change is a change of.
COMPARED: Final = ("country_code", "city", "asn", "organization")
# Addresses of one query.
CHUNK_ADDRESSES: Final = 1000
# To PostgreSQL an array is one value to parse, however long it is.
ARRAY_ADDRESSES: Final = 10_000


def has_moved(old: Sequence[Any], new: Sequence[Any]) -> bool:
    """Tell whether the values of ``COMPARED`` in two answers are different places or operators.

    To lose a country, or to gain one, is a change. A city or an operator that was not known before
    is none: a database that knows more has not moved anybody.
    """
    if old[0] != new[0]:
        return True
    known = [(before, after) for before, after in zip(old, new, strict=True) if before]
    return any(before != after for before, after in known)


def midnight(day: date) -> datetime:
    """Return the moment at which ``day`` begins in the current time zone."""
    return timezone.make_aware(datetime.combine(day, time.min))


class AnswerHistoryQuerySet(models.QuerySet["AnswerHistory"]):
    """What one can ask of the answers of the past."""

    def changed_between(self, first: date | None, last: date | None) -> Self:
        """Return answers replaced from one day to another, both in the current time zone."""
        rows = self
        if first:
            rows = rows.filter(valid_until__gte=midnight(first))
        if last:
            rows = rows.filter(valid_until__lt=midnight(last + timedelta(days=1)))
        return rows


class AnswerHistory(AnswerFields):
    """An answer that was replaced by one of another country, city or operator."""

    address = models.GenericIPAddressField(_("address"))
    valid_from = InstantField(_("valid from"))
    # ``resolved_at``, when it was last given, is earlier: when it ceased to be right nobody knows.
    valid_until = InstantField(_("valid until"))
    # What took its place, so that a move is one row.
    new_country_code = models.CharField(_("country afterwards"), max_length=2, blank=True)
    new_city = models.CharField(_("city afterwards"), max_length=200, blank=True)
    new_asn = models.BigIntegerField(_("AS number afterwards"), null=True, blank=True)
    new_organization = models.CharField(_("operator afterwards"), max_length=200, blank=True)

    objects: ClassVar[Any] = AnswerHistoryQuerySet.as_manager()

    class Meta:
        verbose_name = _("history entry")
        verbose_name_plural = _("history")
        constraints: ClassVar = [
            # The past of an address; and of two flushers with one change, one keeps it.
            models.UniqueConstraint(
                fields=["address", "valid_until"], name="geocache_former_address"
            )
        ]
        indexes: ClassVar = [
            # Lists of what moved, newest first: all, and out of or into one country.
            models.Index(fields=["valid_until", "address"], name="geocache_former_until"),
            models.Index(
                fields=["country_code", "valid_until", "address"], name="geocache_former_country"
            ),
            models.Index(
                fields=["new_country_code", "valid_until", "address"], name="geocache_former_new"
            ),
        ]

    def __str__(self) -> str:
        return self.address


def find_changed(
    connection: BaseDatabaseWrapper,
    model: type[Any],
    fields: Sequence[str],
    rows: Mapping[str, Sequence[Any]],
) -> dict[str, list[Any]]:
    """Return the values of ``COMPARED`` in those ``rows``, by address, that move an answer.

    Compared with the table of ``model``. Locks nothing: two flushers that lock here, before they
    write all in one order, wait for each other. Raises what the database raises.
    """
    places = [fields.index(name) for name in COMPARED]
    new: dict[str, list[Any]] = {}
    for address, old in _held(connection, model, list(rows)):
        compared = [rows[address][place] for place in places]
        if has_moved(old, compared):
            new[address] = compared
    return new


def keep_changed(
    connection: BaseDatabaseWrapper,
    model: type[Any],
    new: Mapping[str, Sequence[Any]],
    until: Mapping[str, datetime],
) -> list[Any]:
    """Keep the answers in the table of ``model`` that ``new``, by address, is about to replace.

    Return their rows. ``new`` is what ``find_changed`` found, ``until`` when each was resolved. In
    the transaction that holds the rows already and replaces them next. Raises what the database
    raises.
    """
    replaced: list[Any] = []
    for chunk in batches(list(new), CHUNK_ADDRESSES):
        # A read that locks sees what another flusher wrote before we held the row, whatever the
        # isolation: that is what is replaced now.
        held = model._default_manager.using(connection.alias).filter(pk__in=chunk)
        old_rows = [
            row
            for row in held.select_for_update()
            if row.resolved_at < until[row.pk]
            and has_moved([getattr(row, name) for name in COMPARED], new[row.pk])
        ]
        _keep(connection.alias, old_rows, until, new)
        replaced += old_rows
    return replaced


def _held(
    connection: BaseDatabaseWrapper, model: type[Any], addresses: list[str]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Give the values of ``COMPARED`` for those addresses that the table has."""
    quote = connection.ops.quote_name
    columns = ", ".join(map(quote, ("address", *COMPARED)))
    table = quote(model._meta.db_table)
    is_array = connection.vendor == "postgresql"
    size = ARRAY_ADDRESSES if is_array else CHUNK_ADDRESSES
    with connection.cursor() as cursor:
        for chunk in batches(addresses, size):
            marks = ", ".join(["%s"] * len(chunk))
            wanted = "= ANY(%s::inet[])" if is_array else f"IN ({marks})"
            cursor.execute(
                f"SELECT {columns} FROM {table} WHERE {quote('address')} {wanted}",  # noqa: S608 - names only
                [chunk] if is_array else chunk,
            )
            for address, *values in cursor.fetchall():
                yield str(address), tuple(values)


def _keep(
    using: str,
    old_rows: Sequence[Any],
    until: Mapping[str, datetime],
    new: Mapping[str, Sequence[Any]],
) -> None:
    manager = AnswerHistory.objects.using(using)
    earlier = manager.filter(address__in=[row.pk for row in old_rows]).values_list("address")
    began = dict(earlier.annotate(Max("valid_until")))
    manager.bulk_create(
        [
            AnswerHistory(
                **{name: getattr(row, name) for name in FIELDS},
                # One begins where the other ends; the first, with the row.
                valid_from=max(began.get(row.pk, row.created_at), row.created_at),
                valid_until=until[row.pk],
                **{f"new_{name}": value for name, value in zip(COMPARED, new[row.pk], strict=True)},
            )
            for row in old_rows
        ],
        ignore_conflicts=True,
    )
