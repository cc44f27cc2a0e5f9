"""What remains to be done between the lists and the bans: the difference of two tables."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from geocache import conf
from geocache.bans.protection import Protection, Reason
from geocache.models import Ban, ImportSource, ListedAddress
from geocache.models.connection import writing_alias

# Rows that are read at once.
ROWS: Final = 2_000

# Is told why an entry is passed over.
Skipped = Callable[[str, Reason], object]


def not_banned() -> "QuerySet[Any]":
    """Return what is to be banned and is not; what is never banned stays among it."""
    banned = Ban.objects.filter(entry=OuterRef("entry"))
    return wanted().exclude(Exists(banned))


def not_wanted() -> "QuerySet[Any]":
    """Return the bans of what no list holds any more."""
    return all_bans().exclude(Exists(wanted().filter(entry=OuterRef("entry"))))


def wanted() -> "QuerySet[Any]":
    """Return what lists have banned: what they hold, with a score that is high enough."""
    rows = _listed()
    for source in _sources_with_least_scores():
        # No score at all is not enough. Another list of the same entry counts for itself.
        enough = Q(score__gte=conf.get("BAN_MIN_SCORES")[source.name])
        rows = rows.filter(~Q(source_id=source.pk) | enough)
    return rows


def low_scored() -> "QuerySet[Any]":
    """Return what is listed, and only with scores that are too low."""
    if not _sources_with_least_scores():
        return _listed().none()
    return _listed().exclude(Exists(wanted().filter(entry=OuterRef("entry"))))


def _sources_with_least_scores() -> list[ImportSource]:
    names = list(conf.get("BAN_MIN_SCORES"))
    if not names:
        return []
    return list(ImportSource.objects.using(writing_alias()).filter(name__in=names).only("name"))


def _listed() -> "QuerySet[Any]":
    return ListedAddress.objects.using(writing_alias()).filter(is_listed=True)


def entries(rows: "QuerySet[Any]") -> Iterator[str]:
    """Give the entries of rows, each once, in the order of their texts."""
    last = ""
    while found := list(
        rows.filter(entry__gt=last)
        .order_by("entry")
        .values_list("entry", flat=True)
        .distinct()[:ROWS]
    ):
        last = found[-1]
        yield from found


def to_ban(protection: Protection, skipped: Skipped) -> Iterator[str]:
    """Give what is to be banned and is not, and tell ``skipped`` of what never is."""
    yield from harmless(entries(not_banned()), protection, skipped)
    for entry in entries(low_scored()):
        skipped(entry, Reason.LOW_SCORE)


def harmless(
    texts: Iterable[str], protection: Protection, skipped: Skipped = lambda *_: None
) -> Iterator[str]:
    """Give what may be banned, and tell ``skipped`` of the rest."""
    for entry in texts:
        if reason := protection.reason(entry):
            skipped(entry, reason)
        else:
            yield entry


def protected_bans(protection: Protection) -> Iterator[str]:
    """Give what is listed, banned and should not be, such as what a setting protects since."""
    rows = all_bans().filter(Exists(wanted().filter(entry=OuterRef("entry"))))
    return (entry for entry in entries(rows) if protection.reason(entry))


def all_bans() -> "QuerySet[Any]":
    """Return what is banned."""
    return Ban.objects.using(writing_alias())
