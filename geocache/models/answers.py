"""The table of answers and what is known about its filling. QuerySets are the vocabulary."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from operator import attrgetter
from typing import Any, ClassVar, Final, Self

from django.db import connections, models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from geocache.addresses import (
    networks_around,
    normalised_and_key,
    parse_address,
    parse_network,
    sort_key,
)
from geocache.batches import batches
from geocache.country_groups import COUNTRIES
from geocache.field_sources import SEPARATOR, shares_of
from geocache.instants import InstantField
from geocache.location import EPOCH, FIELDS, NOT_FOUND, Location
from geocache.models.columns import AnswerFields, json_text, location_of, traits_text
from geocache.models.connection import atomic, reading_alias, writing_alias, writing_connection
from geocache.models.history import find_changed, keep_changed, midnight
from geocache.models.indexes import AddressOrderIndex, address_column
from geocache.models.trait_sources import TraitSource
from geocache.models.upsert import Upsert
from geocache.signals import LocationChange


class Reason(models.TextChoices):
    """Why an answer is empty."""

    NOT_FOUND = "not_found", _("not found")
    UNAVAILABLE = "unavailable", _("not available now")
    PRIVATE = "private", _("private")
    LOOPBACK = "loopback", _("loopback")
    LINK_LOCAL = "link_local", _("link-local")
    MULTICAST = "multicast", _("multicast")
    SHARED = "shared", _("shared by a carrier")
    DOCUMENTATION = "documentation", _("documentation")
    UNSPECIFIED = "unspecified", _("unspecified")
    RESERVED = "reserved", _("reserved")

    @classmethod
    def label_of(cls, reason: str) -> str:
        """Return for people why an answer is empty; a reason of a later release stays as it is."""
        return str(cls(reason).label) if reason in cls else reason


PRESENT_SQL: Final = """
    WITH RECURSIVE present(held) AS (
        SELECT MIN({column}) FROM {table} WHERE {column} > ''
        UNION ALL
        SELECT (SELECT MIN({column}) FROM {table} WHERE {column} > held)
        FROM present WHERE held IS NOT NULL
    )
    SELECT held FROM present WHERE held IS NOT NULL
"""

# An answer that is empty, whatever the reason.
UNRESOLVED: Final = ~Q(reason="")
Address = IPv4Address | IPv6Address

# Rows that a stream holds at once.
STREAMED_ROWS: Final = 2_000
# Rows that one statement marks as asked for.
MARKED_ROWS: Final = 1_000

# The beginning of an IPv4 address: one to three numbers, each with its dot (the last may lack it).
BEGINNING: Final = re.compile(r"(?=.*\.)\d{1,3}(\.\d{1,3}){0,2}\.?", re.ASCII)


def _chunks(names: Iterable[str]) -> Iterator[list[str]]:
    # Always in one order, so that two flushers cannot wait for each other's rows.
    return batches(sorted(names), MARKED_ROWS)


@contextmanager
def _one_snapshot(using: str) -> Iterator[None]:
    """Let a cursor of PostgreSQL give its first rows at once.

    Outside a transaction the server first copies all of them. On SQLite a transaction would keep
    the flush from writing.
    """
    if connections[using].vendor == "postgresql":
        with transaction.atomic(using=using):
            yield
    else:
        yield


class GeoCacheQuerySet(models.QuerySet["GeoCache"]):
    """Queries on the answers table, and its bulk upsert."""

    def fresh(self, *, found_since: datetime, not_found_since: datetime) -> Self:
        """Return rows young enough to stand in for an answer of the provider."""
        found = Q(reason="", resolved_at__gte=found_since)
        return self.filter(found | Q(reason=NOT_FOUND, resolved_at__gte=not_found_since))

    def in_network(self, network: IPv4Network | IPv6Network) -> Self:
        """Return rows of addresses inside ``network``; a range of the index by address."""
        ends = network.network_address, network.broadcast_address
        return self._by_place("range", tuple(map(self._place, ends)))

    def in_ranges(self, ranges: Iterable[tuple[Address, Address]]) -> Self:
        """Return rows of addresses inside one of a few ranges, each from a first to a last one."""
        places = [(self._place(first), self._place(last)) for first, last in ranges]
        column = address_column(self.db)
        inside = Q(**{f"{column}__in": [first for first, last in places if first == last]})
        for first, last in places:
            if first != last:
                inside |= Q(**{f"{column}__range": (first, last)})
        return self.filter(inside)

    def covering(self, addresses: Iterable[IPv4Address | IPv6Address]) -> Self:
        """Return rows whose answer holds for a whole network around one of ``addresses``."""
        networks = {text for address in addresses for text in networks_around(address)}
        return self.filter(network__in=networks)

    def around(self, address: IPv4Address | IPv6Address, count: int) -> list["GeoCache"]:
        """Return up to ``count`` of the nearest rows on either side of ``address``, in order."""
        place = self._place(address)
        below = self._by_place("lt", place).order_by("-sort_key")[:count]
        above = self._by_place("gt", place).order_by("sort_key")[:count]
        return [*reversed(below), *above]

    def pages(self, *columns: str, size: int) -> Iterator[list[list[Any]]]:
        """Give values of the rows by address, at most ``size`` of them a page.

        Each page goes on where the last ended: all pages together read the index once. Not by an
        open cursor, which deletions on the same connection would disturb, and which on SQLite
        would hold the flush up.
        """
        rows = self.order_by("sort_key")
        # Django 5.2.0 gives a column once that is named twice.
        read = list(dict.fromkeys((address_column(self.db), *columns)))
        places = [read.index(name) for name in columns]
        page = list(rows.values_list(*read)[:size])
        while page:
            yield [[values[place] for place in places] for values in page]
            if len(page) < size:
                return
            behind = rows._by_place("gt", page[-1][0])
            page = list(behind.values_list(*read)[:size])

    def order_by(self, *field_names: Any) -> Self:
        """Sort as Django does; by ``sort_key``, as the index does in which the database has it."""
        given = ("sort_key", "-sort_key")
        column = address_column(self.db)
        return super().order_by(
            *(one.replace("sort_key", column) if one in given else one for one in field_names)
        )

    def _by_place(self, lookup: str, value: object) -> Self:
        return self.filter(**{f"{address_column(self.db)}__{lookup}": value})

    def _place(self, address: IPv4Address | IPv6Address) -> str:
        return str(address) if address_column(self.db) == "address" else sort_key(address)

    def unresolved(self) -> Self:
        """Return rows of which nothing is known."""
        return self.filter(UNRESOLVED)

    def with_trait(self, name: str) -> Self:
        """Return rows that have a trait, such as ``anonymous_vpn``."""
        # The first condition is that of the index, which a database cannot read from the second.
        return self.filter(~Q(traits=""), traits__contains=traits_text([name]))

    def with_user_type(self, name: str) -> Self:
        """Return rows of addresses whose users are of a type, such as ``residential``."""
        return self.filter(~Q(user_type=""), user_type=name)

    def with_connection_type(self, name: str) -> Self:
        """Return rows of addresses with a type of connection, such as ``Cable/DSL``."""
        return self.filter(~Q(connection_type=""), connection_type=name)

    def in_continent(self, code: str) -> Self:
        """Return rows of the countries of a continent, and those that name it and no country."""
        of_countries = Q(country_code__in=COUNTRIES.get(code, "").split())
        return self.filter(of_countries | Q(country_code="", continent_code=code))

    def in_region(self, code: str) -> Self:
        """Return rows of a region by its code of ISO 3166-2, such as ``GB-ENG``."""
        # Its country has an index, the region has none.
        return self.filter(country_code=code.partition("-")[0], region_code=code)

    def resolved_between(self, first: date | None, last: date | None) -> Self:
        """Return rows resolved from one day to another, both in the current time zone."""
        rows = self
        if first:
            rows = rows.filter(resolved_at__gte=midnight(first))
        if last:
            rows = rows.filter(resolved_at__lt=midnight(last + timedelta(days=1)))
        return rows

    def unseen_since(self, day: date) -> Self:
        """Return rows that nobody has asked for on ``day``, of UTC, or later."""
        return self.filter(last_seen_on__lt=day)

    def mark_seen(self, days: Mapping[str, date]) -> None:
        """Raise the day on which addresses were last asked for; what has no row is left out.

        For a network that of its newest row, which answers for it. At most one write a row and day,
        however often it is called.
        """
        rows = self.using(writing_alias())
        asked = {name: day for name, day in days.items() if "/" not in name}
        for networks in _chunks(set(days).difference(asked)):
            oldest_first = rows.filter(network__in=networks).order_by("resolved_at")
            newest = dict(oldest_first.values_list("network", "address"))
            for network, address in newest.items():
                asked[address] = max(days[network], asked.get(address, days[network]))
        for day in sorted(set(asked.values())):
            for addresses in _chunks(name for name in asked if asked[name] == day):
                rows.unseen_since(day).filter(pk__in=addresses).update(last_seen_on=day)

    def stream(self) -> Iterator[Location]:
        """Give the rows as answers, a few at a time however many there are."""
        with _one_snapshot(self.db):
            for values in self.values_list(*FIELDS).iterator(STREAMED_ROWS):
                yield location_of(dict(zip(FIELDS, values, strict=True)))

    def search(self, text: str) -> Self:
        """Return the rows of an address, a network, or the beginning of an IPv4 address.

        Raises ``InvalidAddress`` when ``text`` is none of these.
        """
        if BEGINNING.fullmatch(text):
            numbers = text.rstrip(".").split(".")
            zeros = ["0"] * (4 - len(numbers))
            text = f"{'.'.join(numbers + zeros)}/{8 * len(numbers)}"
        if "/" in text:
            return self.in_network(parse_network(text))
        return self.filter(address=str(parse_address(text)))

    def upsert(self, locations: Iterable[Location]) -> list[LocationChange]:
        """Write the newest answer for each address; an older never replaces a newer one.

        What a newer one replaces is kept as a ``AnswerHistory`` if it is another place, operator
        or kind of network; these changes are returned.
        In one transaction, or a savepoint of the one that is open. Raises what the database raises,
        and ``InvalidAddress``.
        """
        rows: dict[str, tuple[Any, ...]] = {}
        newest: dict[str, Location] = {}
        for location in sorted(locations, key=lambda one: one.resolved_at):
            row = row_of(location)
            rows[row[0]], newest[row[0]] = row, location
        replaced: list[tuple[GeoCache, tuple[str, ...]]] = []
        connection = writing_connection()
        upsert = Upsert(
            connection=connection,
            model=self.model,
            fields=ROW_FIELDS,
            newest_by="resolved_at",
            insert_only=["created_at"],
            raised=["last_seen_on"],
            seldom=dict(zip(SELDOM, NOTHING_IN_ROW, strict=True)),
        )
        with atomic():
            TraitSource.note(newest.values())
            changed = find_changed(connection, self.model, ROW_FIELDS, rows)
            # Always in one order, and rows that are new among the others, so that two flushers
            # cannot wait for each other's. What changes loses at first: its row is only locked.
            first = rows | {address: _too_old(rows[address]) for address in changed}
            upsert.write([first[address] for address in sorted(first)])
            if changed:
                until = {address: rows[address][RESOLVED_AT] for address in changed}
                replaced = keep_changed(connection, self.model, changed, until)
                upsert.write([rows[address] for address in changed])
        return [
            LocationChange(row.pk, row.to_location(), newest[row.pk], kinds)
            for row, kinds in replaced
        ]


class GeoCache(AnswerFields):
    """The newest answer for one address."""

    address = models.GenericIPAddressField(_("address"), primary_key=True)
    # 32 hexadecimal digits: sorts, and finds the addresses of a network, on every database.
    sort_key = models.CharField(max_length=32, editable=False)
    # Its choices are part of a migration, which the table of history entries never had.
    reason = models.CharField(_("reason"), max_length=20, blank=True, choices=Reason.choices)
    created_at = InstantField(_("first resolved at"))
    # A day of UTC, only ever raised. It has no index: nearly every write to it would then be one to
    # all other indexes (PostgreSQL), and only a daily job looks for it, on one walk.
    last_seen_on = models.DateField(_("last requested"))

    objects: ClassVar[models.Manager["GeoCache"]] = GeoCacheQuerySet.as_manager()

    class Meta:
        verbose_name = _("address")
        verbose_name_plural = _("addresses")
        indexes: ClassVar = [
            # in_network(), and addresses in their order.
            AddressOrderIndex(fields=["sort_key"], name="geocache_sort_key"),
            # covering(): an address inside an answered network costs a metered provider no query.
            models.Index(fields=["network"], name="geocache_network"),
            # Lists, newest or oldest first, by date, and the admin's date hierarchy. Their order is
            # made total by the address, which is not in the index: the database sorts the rows of
            # one moment, of which there are at most as many as one look-up asks for, a thousand.
            models.Index(fields=["resolved_at"], name="geocache_resolved_at"),
            # Lists of one country, operator or source, newest or oldest first, and by date.
            models.Index(fields=["country_code", "resolved_at"], name="geocache_country"),
            models.Index(fields=["asn", "resolved_at"], name="geocache_asn"),
            models.Index(fields=["source", "resolved_at"], name="geocache_source"),
            # Lists of one country or operator by address: it may hold a few blocks only, and a walk
            # through all other addresses to the next one takes seconds. Sources are everywhere.
            AddressOrderIndex(fields=["country_code", "sort_key"], name="geocache_country_sort"),
            AddressOrderIndex(fields=["asn", "sort_key"], name="geocache_asn_sort"),
            # Lists of what is not resolved; they are few, and so are the entries of these indexes.
            models.Index(fields=["resolved_at"], name="geocache_unresolved", condition=UNRESOLVED),
            AddressOrderIndex(
                fields=["sort_key"], name="geocache_unresolved_sort", condition=UNRESOLVED
            ),
            # Lists of a kind of network, newest or oldest first: few databases know any.
            models.Index(fields=["resolved_at"], name="geocache_traits", condition=~Q(traits="")),
            models.Index(
                fields=["user_type", "resolved_at"],
                name="geocache_user_type",
                condition=~Q(user_type=""),
            ),
            models.Index(
                fields=["connection_type", "resolved_at"],
                name="geocache_connection",
                condition=~Q(connection_type=""),
            ),
        ]

    def __str__(self) -> str:
        return self.address

    @classmethod
    def countries(cls) -> list[str]:
        """Return the country codes in the table."""
        return cls._present("country_code")

    @classmethod
    def sources(cls, using: str | None = None) -> list[str]:
        """Return the sources in the table, of the database ``using`` if one is named."""
        return cls._present("source", using)

    @classmethod
    def fields_by_source(cls, answer: Location) -> list[tuple[str, list[str]]]:
        """Return each of several sources of an answer and the names of the fields that it gave."""
        shares = shares_of(answer.source, answer.given_by)
        names = {field.name: str(field.verbose_name) for field in cls._meta.fields}
        return [
            (source, [names[field] for field in share])
            for source, share in zip(answer.source.split(SEPARATOR), shares, strict=False)
            if share
        ]

    @classmethod
    def _present(cls, column: str, using: str | None = None) -> list[str]:
        """Return the values of a column, by one step in its index for each; DISTINCT reads all."""
        connection = connections[using or reading_alias()]
        quote = connection.ops.quote_name
        sql = PRESENT_SQL.format(table=quote(cls._meta.db_table), column=quote(column))
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return [held for (held,) in cursor.fetchall()]


ROW_FIELDS: Final = (*FIELDS, "sort_key", "created_at", "last_seen_on")
RESOLVED_AT: Final = ROW_FIELDS.index("resolved_at")


# Fields that most databases leave empty: those after the subdivisions. The last is compared by
# itself, as that takes longer.
SELDOM: Final = FIELDS[FIELDS.index("subdivisions") + 1 :]
_usual: Final = attrgetter(*FIELDS[1 : FIELDS.index("subdivisions")])
_seldom: Final = attrgetter(*SELDOM[:-1])
# Their values where nothing is said, in an answer and in its row.
NOTHING_SELDOM: Final = _seldom(Location(address="", resolved_at=EPOCH))
NOTHING_IN_ROW: Final[tuple[Any, ...]] = (*NOTHING_SELDOM[:-1], "", None)


def row_of(location: Location) -> tuple[Any, ...]:
    """Return the values of ``ROW_FIELDS`` for an answer; raise ``InvalidAddress``."""
    address, key = normalised_and_key(location.address)
    subdivisions = json_text(location.subdivisions) if location.subdivisions else None
    seldom = _seldom(location)
    if seldom == NOTHING_SELDOM and not location.details:
        seldom = NOTHING_IN_ROW
    else:
        *texts, traits = seldom
        seldom = (*texts, traits_text(traits), json_text(location.details))
    created_at = location.resolved_at
    times = (created_at, location.last_seen_on)
    return (address, *_usual(location), subdivisions, *seldom, key, *times)


def _too_old(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row that no row of the table gives way to."""
    return (*row[:RESOLVED_AT], EPOCH, *row[RESOLVED_AT + 1 :])
