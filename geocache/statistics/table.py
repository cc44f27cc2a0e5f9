"""Counts of the whole table, made now and then and kept, so that a page reads one row instead.

To count takes seconds at ten million rows. It is done behind a flush, for at most 2 % of the time.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from functools import lru_cache, reduce
from itertools import chain
from operator import or_
from typing import Any, Final, NamedTuple

from django.db import connections
from django.db.models import Count, Max, Q
from django.db.models.functions import TruncDate
from django.utils import timezone

from geocache import labels
from geocache.country_groups import continent_of
from geocache.instants import calendar_zone, utc_now
from geocache.models import FlushRun, GeoCache, Statistics
from geocache.models.connection import writing_alias, writing_connection
from geocache.traits import ANONYMOUS, HOSTING

# Counted again no sooner than this, and than so many times what counting took.
MIN_SECONDS: Final = 60.0
REST_FACTOR: Final = 50
# Counted again after this, also when nothing was flushed: rows are deleted, too, and days go by.
MAX_SECONDS: Final = 86_400.0
TOP_OPERATORS: Final = 50
DAYS: Final = 30
# The rows of ``Statistics``: what releases up to 0.2.0 read, and what kinds of network there are.
COUNTS: Final = 1
KINDS: Final = 2
# Counted in a pass each, which an index keeps short: few databases fill any of these columns.
TRAIT_COLUMNS: Final = ("traits", "country_code", "asn")
KIND_PASSES: Final = (TRAIT_COLUMNS, ("user_type",), ("connection_type",))
KIND_COLUMNS: Final = ("traits", "user_type", "connection_type")


class Operator(NamedTuple):
    """The operator of networks, and how many addresses it has."""

    asn: int
    organization: str
    address_count: int


class Shares(NamedTuple):
    """How many addresses of a country or an operator are of the two kinds that count most."""

    hosting_count: int = 0
    anonymous_count: int = 0


NO_SHARES: Final = Shares()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kinds:
    """What kinds of network, users and connections the answers name; the largest count first."""

    hosting_count: int = 0
    anonymous_count: int = 0
    # By label; one address may have several.
    traits: dict[str, int] = field(default_factory=dict)
    user_types: dict[str, int] = field(default_factory=dict)
    connection_types: dict[str, int] = field(default_factory=dict)
    # By code and by AS number; of operators those that are listed.
    countries: dict[str, Shares] = field(default_factory=dict)
    operators: dict[int, Shares] = field(default_factory=dict)

    def of_country(self, code: str, address_count: int) -> tuple[float, float]:
        """Return how many percent of a country's addresses are hosting, and how many anonymous."""
        return _percents(self.countries.get(code, NO_SHARES), address_count)

    def of_operator(self, operator: Operator) -> tuple[float, float]:
        """Return how many percent of an operator's are hosting, and how many anonymous."""
        shares = self.operators.get(operator.asn, NO_SHARES)
        return _percents(shares, operator.address_count)

    def __bool__(self) -> bool:
        return bool(self.traits or self.user_types or self.connection_types)


def _percents(shares: Shares, address_count: int) -> tuple[float, float]:
    # What was counted a moment later may be more.
    hosting, anonymous = (min(100.0, 100 * count / max(address_count, 1)) for count in shares)
    return hosting, anonymous


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """What the table held at ``made_at``. Counts are of addresses, the largest first.

    It is the same object until somebody counts anew, so that what is made of it can be kept.
    """

    made_at: datetime
    # How long it took to count.
    seconds: float
    row_count: int
    # Addresses of which nothing is known.
    empty_count: int
    # By ISO 3166-1 code.
    countries: dict[str, int]
    operators: tuple[Operator, ...]
    sources: dict[str, int]
    # The last days by when an address was resolved, oldest first, in the project's time zone.
    days: dict[date, int]
    # Empty until a process of this release has counted.
    kinds: Kinds = field(default_factory=Kinds)

    @property
    def continents(self) -> dict[str, int]:
        """Return the addresses of each continent, by its code, the largest count first."""
        counts = Counter[str]()
        for code, count in self.countries.items():
            counts[continent_of(code)] += count
        del counts[""]
        return dict(counts.most_common())


def read_statistics() -> Snapshot | None:
    """Return what was counted last, or None when nothing was yet."""
    kept = {row.pk: row for row in Statistics.objects.all()}
    counts, kinds = kept.get(COUNTS), kept.get(KINDS)
    if counts is None:
        return None
    return _load(counts.made_at, counts.seconds, counts.figures, kinds.figures if kinds else "{}")


def refresh_if_due(at: datetime | None = None) -> bool:
    """Count the table if something was flushed since, and not too soon; tell whether it was."""
    if not _is_due(at or utc_now()):
        return False
    refresh_statistics(at)
    return True


def refresh_statistics(at: datetime | None = None) -> None:
    """Count the table and keep the result. Of two at once the later one stays."""
    at, started = at or utc_now(), time.monotonic()
    last_run = _last_run()
    figures = count(at)
    kinds = count_kinds([asn for asn, *_ in figures["operators"]])
    seconds = round(time.monotonic() - started, 3)
    for pk, counted in ((KINDS, kinds), (COUNTS, figures)):
        Statistics.objects.update_or_create(
            id=pk,
            defaults={
                "made_at": at,
                "seconds": seconds,
                "last_run": last_run,
                "figures": json.dumps(counted, separators=(",", ":")),
            },
        )


def _is_due(at: datetime) -> bool:
    rows = Statistics.objects.using(writing_alias()).defer("figures")
    kept = rows.filter(pk=COUNTS).first()
    if kept is None:
        return True
    age_seconds = (at - kept.made_at).total_seconds()
    if 0 <= age_seconds < max(MIN_SECONDS, REST_FACTOR * kept.seconds):
        return False
    return age_seconds >= MAX_SECONDS or kept.last_run != _last_run()


def _last_run() -> int:
    return FlushRun.objects.using(writing_alias()).aggregate(last=Max("id"))["last"] or 0


def count(at: datetime) -> dict[str, Any]:
    """Return the counts as plain JSON types, from three passes over the table or an index of it."""
    countries, sources = Counter[str](), Counter[str]()
    row_count = empty_count = 0
    # One pass for four figures: it has few groups.
    groups = GeoCache.objects.using(writing_alias()).values_list("country_code", "source", "reason")
    for country_code, source, reason, count in groups.annotate(count=Count("*")):
        row_count += count
        empty_count += count if reason else 0
        countries[country_code] += count
        sources[source] += count
    # What is not known is counted above.
    del countries[""], sources[""]
    return {
        "row_count": row_count,
        "empty_count": empty_count,
        "countries": dict(countries.most_common()),
        "operators": _count_operators(),
        "sources": dict(sources.most_common()),
        "days": _count_days(at),
    }


def _count_operators() -> list[tuple[Any, ...]]:
    groups = GeoCache.objects.using(writing_alias()).filter(asn__isnull=False).values("asn")
    # Of its names in several databases any will do.
    counted = groups.annotate(name=Max("organization"), count=Count("*"))
    return list(
        counted.order_by("-count", "asn").values_list("asn", "name", "count")[:TOP_OPERATORS]
    )


def count_kinds(listed_asns: Collection[int]) -> dict[str, Any]:
    """Return the counts of kinds of network, users and connections, as plain JSON types.

    ``listed_asns`` are the operators that are counted one by one.
    """
    names = {column: Counter[str]() for column in KIND_COLUMNS}
    of_all, countries = [0, 0], defaultdict[str, list[int]](lambda: [0, 0])
    operators = {asn: [0, 0] for asn in listed_asns}
    for group, count in _groups_of_kinds():
        for column, counts in names.items():
            value = group.get(column) or ()
            for name in (value,) if isinstance(value, str) else value:
                counts[name] += count
        traits = frozenset(group.get("traits") or ())
        for place, kind in enumerate((HOSTING, ANONYMOUS)):
            if not kind.isdisjoint(traits):
                of_all[place] += count
                countries[group["country_code"]][place] += count
                if group["asn"] in operators:
                    operators[group["asn"]][place] += count
    # Of lists: what they name is not in a column.
    names["traits"].update(labels.counts())
    return {
        "hosting_count": of_all[0],
        "anonymous_count": of_all[1],
        **{f"{column.removesuffix('s')}s": dict(names[column].most_common()) for column in names},
        "countries": {code: counts for code, counts in countries.items() if code},
        "operators": {asn: counts for asn, counts in operators.items() if any(counts)},
    }


def _groups_of_kinds() -> Iterator[tuple[dict[str, Any], int]]:
    """Give the values that some rows share, and how many rows these are."""
    alias = writing_alias()
    passes: Iterable[tuple[str, ...]] = KIND_PASSES
    if not connections[alias].features.supports_partial_indexes:
        # Without such an index a pass reads all of the table, so there is one for all columns.
        passes = [tuple(chain.from_iterable(passes))]
    for columns in passes:
        stated = (~Q(**{column: ""}) for column in columns if column in KIND_COLUMNS)
        rows = GeoCache.objects.using(alias).filter(reduce(or_, stated))
        for group in rows.values(*columns).annotate(count=Count("*")):
            yield group, group.pop("count")


def _count_days(at: datetime) -> dict[str, int]:
    """Return the count of each of the last days, zeros too."""
    zone = calendar_zone(writing_connection())
    midnight = timezone.localtime(at, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight - timedelta(days=DAYS - 1)
    rows = GeoCache.objects.using(writing_alias()).filter(resolved_at__gte=first)
    groups = rows.values_list(TruncDate("resolved_at"))
    counts = dict(groups.annotate(count=Count("*")))
    days = (first.date() + timedelta(days=number) for number in range(DAYS))
    return {day.isoformat(): counts.get(day, 0) for day in days}


@lru_cache(maxsize=1)
def _load(made_at: datetime, seconds: float, text: str, kinds_text: str) -> Snapshot:
    figures = json.loads(text)
    figures["operators"] = tuple(Operator(*values) for values in figures["operators"])
    figures["days"] = {date.fromisoformat(day): count for day, count in figures["days"].items()}
    return Snapshot(made_at=made_at, seconds=seconds, kinds=_load_kinds(kinds_text), **figures)


def _load_kinds(text: str) -> Kinds:
    """Return what was counted; what a later release has added to it is left out."""
    read = json.loads(text)
    found = {one.name: read[one.name] for one in fields(Kinds) if one.name in read}
    for name, key in (("countries", str), ("operators", int)):
        shares = found.get(name, {})
        found[name] = {key(one): Shares(*counts[:2]) for one, counts in shares.items()}
    return Kinds(**found)
