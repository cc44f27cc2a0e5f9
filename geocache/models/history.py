"""Answers that were replaced by different ones, each with the time for which it was valid.

They are kept in the transaction that replaces them. A flush that is repeated finds the newer answer
in its place already and keeps nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import cache
from operator import itemgetter
from typing import Any, ClassVar, Final, Self

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Max, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from geocache.batches import batches
from geocache.instants import InstantField
from geocache.location import FIELDS
from geocache.models.changes import (
    CITY,
    COMPARED,
    COUNTRY,
    DECISIVE,
    KINDS,
    OPERATOR,
    REGION,
    TRAITS,
    kinds_of_change,
    perhaps_used,
)
from geocache.models.columns import COMMA, AnswerFields, TraitsField, traits_text
from geocache.models.trait_sources import TraitSource

# Columns that say what took the place of an answer are named as its own, with this before.
AFTERWARDS: Final = "new_"
SUCCESSOR: Final = tuple(f"{AFTERWARDS}{name}" for name in DECISIVE)
# After the address come the values that decide.
DECISIVE_END: Final = 1 + len(DECISIVE)
# Addresses of one query.
CHUNK_ADDRESSES: Final = 1000
# To PostgreSQL an array is one value to parse, however long it is.
ARRAY_ADDRESSES: Final = 10_000


def midnight(day: date) -> datetime:
    """Return the moment at which ``day`` begins in the current time zone."""
    return timezone.make_aware(datetime.combine(day, time.min))


# What the kinds of change are called.
KIND_LABELS: Final = {
    COUNTRY: _("country"),
    REGION: _("region"),
    CITY: _("city"),
    OPERATOR: _("operator"),
    TRAITS: _("kind of network"),
}
# Which changes of releases up to 0.2.0, which did not keep kinds, are of one. They knew no others.
FORMER_KINDS: Final[Mapping[str, Q]] = {
    COUNTRY: ~Q(country_code=F("new_country_code")),
    CITY: ~Q(city="") & ~Q(city=F("new_city")),
    OPERATOR: (Q(asn__isnull=False) & (Q(new_asn__isnull=True) | ~Q(asn=F("new_asn"))))
    | (~Q(organization="") & ~Q(organization=F("new_organization"))),
}


def of_kind(kind: str) -> Q:
    """Return the condition on changes that say they are of a kind, as indexes have it."""
    return Q(kinds__contains=f"{COMMA}{kind}{COMMA}")


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

    def of_kind(self, kind: str) -> Self:
        """Return answers whose change was of a kind of ``KINDS``; none of another kind."""
        wanted = of_kind(kind)
        if kind in FORMER_KINDS:
            wanted |= Q(kinds="") & FORMER_KINDS[kind]
        return self.filter(wanted)


class AnswerHistory(AnswerFields):
    """An answer that was replaced by one of another place, operator or kind of network."""

    address = models.GenericIPAddressField(_("address"))
    valid_from = InstantField(_("valid from"))
    # ``resolved_at``, when it was last given, is earlier: when it ceased to be right nobody knows.
    valid_until = InstantField(_("valid until"))
    # What took its place, so that a move is one row.
    new_country_code = models.CharField(_("country afterwards"), max_length=2, blank=True)
    new_city = models.CharField(_("city afterwards"), max_length=200, blank=True)
    new_asn = models.BigIntegerField(_("AS number afterwards"), null=True, blank=True)
    new_organization = models.CharField(_("operator afterwards"), max_length=200, blank=True)
    # As in ``AnswerFields``: the release before may still write rows, and names none of these.
    new_region_code = models.CharField(
        _("code of the region afterwards"), max_length=10, blank=True, default="", db_default=""
    )
    new_region = models.CharField(
        _("region afterwards"), max_length=200, blank=True, default="", db_default=""
    )
    new_traits = TraitsField(
        _("kind of network afterwards"), max_length=500, blank=True, default="", db_default=""
    )
    # Empty in rows of releases up to 0.2.0; ``change_kinds`` is never.
    kinds = TraitsField(_("kind of change"), max_length=60, blank=True, default="", db_default="")

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
            # Lists of one kind (PostgreSQL). Of the other kinds, any page of all has some.
            models.Index(
                fields=["valid_until", "address"],
                name="geocache_former_region",
                condition=of_kind(REGION),
            ),
            models.Index(
                fields=["valid_until", "address"],
                name="geocache_former_traits",
                condition=of_kind(TRAITS),
            ),
        ]

    def __str__(self) -> str:
        return self.address

    @property
    def change_kinds(self) -> tuple[str, ...]:
        """Return what the change was of, in the order of ``KINDS``; see ``FORMER_KINDS``."""
        if self.kinds:
            return tuple(kind for kind in KINDS if kind in self.kinds)
        differ = {
            COUNTRY: self.country_code != self.new_country_code,
            CITY: self.city not in ("", self.new_city),
            OPERATOR: self.asn not in (None, self.new_asn)
            or self.organization not in ("", self.new_organization),
        }
        return tuple(kind for kind, is_other in differ.items() if is_other)

    @property
    def kind_labels(self) -> list[str]:
        """Return what the change was of, in the reader's language."""
        return [str(KIND_LABELS[kind]) for kind in self.change_kinds]


def find_changed(
    connection: BaseDatabaseWrapper,
    model: type[Any],
    fields: Sequence[str],
    rows: Mapping[str, Sequence[Any]],
) -> dict[str, Sequence[Any]]:
    """Return the values of ``COMPARED`` in those ``rows``, by address, that move an answer.

    Compared with the table of ``model``. Locks nothing: two flushers that lock here, before they
    write all in one order, wait for each other. Raises what the database raises.
    """
    places = [fields.index(name) for name in COMPARED]
    compared, decisive = itemgetter(*places), itemgetter(*places[: len(DECISIVE)])
    new: dict[str, Sequence[Any]] = {}
    for address, *old in _held(connection, model, rows, decisive):
        given = compared(rows[address])
        # ``keep_changed`` looks closer at the few that this lets through.
        if kinds_of_change(old, given, perhaps_used):
            new[address] = given
    return new


def keep_changed(
    connection: BaseDatabaseWrapper,
    model: type[Any],
    new: Mapping[str, Sequence[Any]],
    until: Mapping[str, datetime],
) -> list[tuple[Any, tuple[str, ...]]]:
    """Keep the answers in the table of ``model`` that ``new``, by address, is about to replace.

    Return their rows, each with its kinds of change. ``new`` is what ``find_changed`` found,
    ``until`` when each was resolved. In the transaction that holds the rows already and replaces
    them next. Raises what the database raises.
    """
    replaced: list[tuple[Any, tuple[str, ...]]] = []
    first_named = cache(TraitSource.first_named)
    for chunk in batches(list(new), CHUNK_ADDRESSES):
        # A read that locks sees what another flusher wrote before we held the row, whatever the
        # isolation: that is what is replaced now.
        held = model._default_manager.using(connection.alias).filter(pk__in=chunk)
        old_rows = [row for row in held.select_for_update() if row.resolved_at < until[row.pk]]
        kinds = [_kinds(row, new[row.pk], first_named) for row in old_rows]
        moved = [pair for pair in zip(old_rows, kinds, strict=True) if pair[1]]
        _keep(connection.alias, moved, until, new)
        replaced += moved
    return replaced


def _kinds(
    row: Any, new: Sequence[Any], first_named: Callable[[str], datetime | None]
) -> tuple[str, ...]:
    """Return what ``new`` changes of a row."""

    def was_used(name: str) -> bool:
        since = first_named(name)
        return since is not None and since <= row.resolved_at

    return kinds_of_change([getattr(row, name) for name in COMPARED], new, was_used)


def _held(
    connection: BaseDatabaseWrapper,
    model: type[Any],
    rows: Mapping[str, Sequence[Any]],
    decisive: Callable[[Sequence[Any]], tuple[Any, ...]],
) -> Iterator[tuple[Any, ...]]:
    """Give address and values of ``COMPARED`` for those of ``rows`` that the table has otherwise.

    Nearly all are the same again: they are told apart by one comparison of what is ``decisive``.
    """
    quote = connection.ops.quote_name
    columns = ", ".join(map(quote, ("address", *COMPARED)))
    table = quote(model._meta.db_table)
    is_array = connection.vendor == "postgresql"
    size = ARRAY_ADDRESSES if is_array else CHUNK_ADDRESSES
    with connection.cursor() as cursor:
        for chunk in batches(list(rows), size):
            marks = ", ".join(["%s"] * len(chunk))
            wanted = "= ANY(%s::inet[])" if is_array else f"IN ({marks})"
            cursor.execute(
                f"SELECT {columns} FROM {table} WHERE {quote('address')} {wanted}",  # noqa: S608 - names only
                [chunk] if is_array else chunk,
            )
            for found in cursor.fetchall():
                address = str(found[0])
                if found[1:DECISIVE_END] != decisive(rows[address]):
                    yield address, *found[1:]


def _keep(
    using: str,
    moved: Sequence[tuple[Any, tuple[str, ...]]],
    until: Mapping[str, datetime],
    new: Mapping[str, Sequence[Any]],
) -> None:
    manager = AnswerHistory.objects.using(using)
    earlier = manager.filter(address__in=[row.pk for row, _ in moved]).values_list("address")
    began = dict(earlier.annotate(Max("valid_until")))
    manager.bulk_create(
        [
            AnswerHistory(
                **{name: getattr(row, name) for name in FIELDS},
                # One begins where the other ends; the first, with the row.
                valid_from=max(began.get(row.pk, row.created_at), row.created_at),
                valid_until=until[row.pk],
                **dict(zip(SUCCESSOR, new[row.pk], strict=False)),
                kinds=traits_text(kinds),
            )
            for row, kinds in moved
        ],
        ignore_conflicts=True,
    )
