"""Lists, what each import of them did, what they hold, and what is banned because of them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any, ClassVar, Final, Self

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from geocache import signals
from geocache.addresses import networks_around
from geocache.addresses.blocks import Entry
from geocache.instants import InstantField, stored
from geocache.locks.lease import Lease
from geocache.models.connection import (
    SqliteRows,
    after_commit,
    atomic,
    writing_alias,
    writing_connection,
)
from geocache.text import unescaped
from geocache.traits import MAX_LENGTH as LABEL_LENGTH

# Rows that one statement writes.
ROWS: Final = 500
# Characters of a comment that are kept.
COMMENT_LENGTH: Final = 200
# From here on scores are shown by their first digits.
LONG_SCORE: Final = 1e15


class ImportSource(Lease):
    """One list, and the process that imports it."""

    name = models.CharField(_("list"), max_length=100, unique=True)
    # The content that the table holds.
    current_run = models.ForeignKey(
        "ImportRun", models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    # The trait that all addresses on it have, if it was given one by hand; else the one of
    # ``IMPORT_OPTIONS`` counts, see ``labels.label_of``.
    label = models.CharField(
        _("label"),
        max_length=LABEL_LENGTH,
        blank=True,
        default="",
        db_default="",
        validators=[
            RegexValidator(
                r"\A[a-z0-9_]*\Z", _("A label has no other characters than a-z, 0-9 and _.")
            )
        ],
        help_text=_(
            "Every address that is on this list, alone or inside a network, is shown with this "
            "label, such as vpn, tor, cloud or bot. If it is empty, the label in IMPORT_OPTIONS "
            "counts."
        ),
    )
    # What the service will know the content by that was fetched last. Of the URL, which may hold a
    # key, only a digest: it stands in the settings.
    url_digest = models.CharField(max_length=64, blank=True, editable=False)
    etag = models.CharField(max_length=1000, blank=True, editable=False)
    last_modified = models.CharField(max_length=100, blank=True, editable=False)
    # When it was last fetched or tried, and what was wrong; None: as soon as possible.
    attempted_at = InstantField(_("last looked at"), null=True, blank=True, editable=False)
    problem = models.TextField(_("problem"), blank=True, editable=False)
    # JSON of the counts of its addresses, as ``imports.geography`` has them.
    figures = models.TextField(blank=True, editable=False)
    is_counted = models.BooleanField(default=True, editable=False)
    counted_at = InstantField(null=True, editable=False)

    class Meta:
        verbose_name = _("list")
        verbose_name_plural = _("lists")
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    def forget(self) -> None:
        """Delete the list with all that it holds, in a few statements; an import of it then ends.

        Bans that it alone has end with the scheduler's next look, or with ``manage.py ban_geo``.
        """
        listed = self.entries.using(writing_alias()).listed()
        with atomic():
            listed_count = listed.count() if signals.blocklist_changed.receivers else 0
            # First the entries, of which there are many: nothing refers to them.
            self.entries.all().delete()
            self.runs.all().delete()
            self.delete()
        after_commit(lambda: self._announce_end(listed_count))

    def _announce_end(self, listed_count: int) -> None:
        signals.send(
            signals.blocklist_changed,
            type(self),
            name=self.name,
            added_count=0,
            removed_count=listed_count,
            changed_count=0,
            run_id=None,
        )


class ImportRun(models.Model):
    """One content of one list, and what its import did; there is one run for each content."""

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")

    source = models.ForeignKey(
        ImportSource, models.CASCADE, related_name="runs", verbose_name=_("list"), db_index=False
    )
    sha256 = models.CharField(_("SHA-256 of the content"), max_length=64)
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.RUNNING
    )
    # Where it came from: a path, ``-``, or a host. Never a whole URL, which may hold a key.
    origin = models.CharField(_("from"), max_length=200, blank=True)
    format_name = models.CharField(_("format"), max_length=40, blank=True)
    # Which readers have read it; see ``READER_VERSION`` of ``blocklists.runs``.
    reader_version = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    line_count = models.PositiveIntegerField(_("lines"), default=0)
    bad_count = models.PositiveIntegerField(_("bad lines"), default=0)
    bad_lines = models.TextField(_("first bad lines"), blank=True)
    entry_count = models.PositiveIntegerField(_("entries"), default=0)
    network_count = models.PositiveIntegerField(_("networks among them"), default=0)
    added_count = models.PositiveIntegerField(_("added"), default=0)
    removed_count = models.PositiveIntegerField(_("removed"), default=0)
    # Entries that stayed, of which the list says something else.
    changed_count = models.PositiveIntegerField(
        _("with another score or comment"), default=0, db_default=0
    )
    started_at = InstantField(_("started at"))
    finished_at = InstantField(_("finished at"), null=True, blank=True)
    # When this content was last found again, with nothing to do.
    seen_at = InstantField(_("seen at"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        ordering: ClassVar = ["-started_at"]
        constraints: ClassVar = [
            # Two imports of one content at once are one run.
            models.UniqueConstraint(fields=["source", "sha256"], name="geocache_import_content")
        ]
        indexes: ClassVar = [
            # The list of runs, newest first, and those of one list.
            models.Index(fields=["started_at"], name="geocache_import_started"),
            models.Index(fields=["source", "started_at"], name="geocache_import_of"),
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.started_at:%Y-%m-%d %H:%M:%S}"


# The columns of an entry that appears, and their types in PostgreSQL.
ADDED: Final = {
    "source_id": "bigint",
    "entry": "text",
    "sort_key": "text",
    "prefix_length": "smallint",
    "is_network": "boolean",
    "first_listed_at": "timestamptz",
    "added_run_id": "bigint",
    "score": "double precision",
    "comment": "text",
}
# What is written of one that is on the list and has another score or comment, and of one that was
# on the list before.
CHANGED: Final = ("score", "comment")
ADDED_AGAIN: Final = ("is_listed", "last_listed_at", "added_run_id", *CHANGED)


class ListedAddressQuerySet(models.QuerySet["ListedAddress"]):
    """What one can ask of the entries of lists, and how they change."""

    def listed(self) -> Self:
        """Return the entries that are on their lists now."""
        # An equality for the index: of a flag alone, as Django writes it, SQLite uses none.
        return self.filter(is_listed__in=[True])

    def in_order(self) -> Self:
        """Return them sorted as ``Entry`` is; a walk through an index for one list or run."""
        return self.order_by("sort_key", "prefix_length")

    def behind(self, entry: Entry) -> Self:
        """Return those that come after ``entry`` in that order."""
        same = Q(sort_key=entry.sort_key, prefix_length__gt=entry.prefix_length)
        # The first condition is a range of the index, which an OR alone would not be.
        return self.filter(Q(sort_key__gte=entry.sort_key), Q(sort_key__gt=entry.sort_key) | same)

    def addresses(self) -> models.QuerySet[Any, Any]:
        """Return the addresses of entries that are no networks, to look for them in the answers."""
        # Text here: PostgreSQL has another type for those.
        return self.values(address=Cast("entry", models.GenericIPAddressField()))

    def scored(self, minimum: float | None = None) -> Self:
        """Return the entries that have a score, one of at least ``minimum`` if that is given."""
        if minimum is None:
            return self.filter(score__isnull=False)
        return self.filter(score__gte=minimum)

    def by_score(self) -> Self:
        """Return them with the highest score first; a walk through an index where all have one."""
        return self.order_by("-score", "sort_key", "prefix_length")

    def holding(self, address: IPv4Address | IPv6Address) -> Self:
        """Return the entries that are ``address``, or a network around it."""
        texts = [str(address), *networks_around(address)]
        return self.filter(entry__in=texts).order_by("source__name", "-prefix_length")

    def mark_added(self, entries: Iterable[Entry], run: ImportRun, at: datetime) -> None:
        """Put entries on the list of ``run``, new ones or such as were on it before."""
        self._upsert(entries, run, at, ADDED_AGAIN)

    def mark_changed(self, entries: Iterable[Entry], run: ImportRun, at: datetime) -> None:
        """Keep the score and comment of entries that are on the list of ``run``."""
        self._upsert(entries, run, at, CHANGED)

    def _upsert(
        self, entries: Iterable[Entry], run: ImportRun, at: datetime, updated: Sequence[str]
    ) -> None:
        """Insert entries; of those that the table has, update some fields."""
        values = [
            (
                *(run.source_id, one.text, one.sort_key, one.prefix_length, one.is_network),
                *(at, run.pk, one.score, one.comment),
            )
            for one in entries
        ]
        connection = writing_connection()
        if connection.vendor in ("sqlite", "postgresql"):
            self._write_rows(values, updated)
        else:
            rows = [
                ListedAddress(**dict(zip(ADDED, row, strict=True)), is_listed=True)
                for row in values
            ]
            # Databases that know no target of a conflict take any unique key.
            has_target = connection.features.supports_update_conflicts_with_target
            self.bulk_create(
                rows,
                batch_size=ROWS,
                update_conflicts=True,
                update_fields=updated,
                unique_fields=["entry", "source"] if has_target else None,
            )

    def _write_rows(self, values: list[tuple[Any, ...]], updated: Sequence[str]) -> None:
        """Write rows in a third of the time that ``bulk_create`` takes."""
        connection, meta = writing_connection(), self.model._meta
        quote = connection.ops.quote_name
        columns = ", ".join(quote(name) for name in (*ADDED, "is_listed", "last_listed_at"))
        new_values = ", ".join(f"{name} = excluded.{name}" for name in map(quote, updated))
        sql = (
            f"INSERT INTO {quote(meta.db_table)} ({columns}) {{rows}} "
            f"ON CONFLICT (entry, source_id) DO UPDATE SET {new_values}"
        )
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                # One statement with one array a column: PostgreSQL parses and plans once.
                arrays = ", ".join(f"%s::{kind}[]" for kind in ADDED.values())
                rows = f"SELECT *, TRUE, NULL::timestamptz FROM unnest({arrays})"  # noqa: S608 - made of types only
                if values:
                    cursor.execute(
                        sql.format(rows=rows), [list(one) for one in zip(*values, strict=True)]
                    )
            else:
                adapt = connection.ops.adapt_datetimefield_value
                rows = f"VALUES ({', '.join(['%s'] * len(ADDED))}, TRUE, NULL)"
                at = adapt(stored(values[0][5], connection)) if values else None
                adapted = SqliteRows((*row[:5], at, *row[6:]) for row in values)
                cursor.executemany(sql.format(rows=rows), adapted)

    def mark_removed(self, entries: Iterable[Entry], run: ImportRun, at: datetime) -> None:
        """Take entries off the list of ``run``; they stay in the table."""
        texts = [one.text for one in entries]
        rows = self.filter(source_id=run.source_id, entry__in=texts)
        rows.update(is_listed=False, last_listed_at=at, removed_run=run)


class ListedAddress(models.Model):
    """An address or a network that is, or was, on one list."""

    source = models.ForeignKey(
        ImportSource, models.CASCADE, related_name="entries", verbose_name=_("list"), db_index=False
    )
    entry = models.CharField(_("address or network"), max_length=43)
    sort_key = models.CharField(max_length=32, editable=False)
    prefix_length = models.PositiveSmallIntegerField(editable=False)
    is_network = models.BooleanField(_("network"), default=False)
    is_listed = models.BooleanField(_("still listed"), default=True)
    # What the list says of it: a count or score of any scale, and a comment; see ``as_kept`` of
    # ``blocklists.kept_entries``.
    score = models.FloatField(_("score"), null=True, blank=True)
    comment = models.CharField(
        _("comment"), max_length=COMMENT_LENGTH, blank=True, default="", db_default=""
    )
    first_listed_at = InstantField(_("first listed"))
    # When it left. What is still listed was seen with the last import of its list.
    last_listed_at = InstantField(_("last listed"), null=True, blank=True)
    # The last run that put it on the list, and the last that took it off.
    added_run = models.ForeignKey(
        ImportRun, models.SET_NULL, null=True, related_name="added", db_index=False
    )
    removed_run = models.ForeignKey(
        ImportRun, models.SET_NULL, null=True, related_name="removed", db_index=False
    )

    objects: ClassVar[Any] = ListedAddressQuerySet.as_manager()

    class Meta:
        verbose_name = _("listed address")
        verbose_name_plural = _("listed addresses")
        constraints: ClassVar = [
            # An entry is on a list once. By entry first: which lists is an address on?
            models.UniqueConstraint(fields=["entry", "source"], name="geocache_listed_once")
        ]
        indexes: ClassVar = [
            # What is on a list, in order: the difference to a new content, and the list's pages.
            models.Index(
                fields=["source", "is_listed", "sort_key", "prefix_length"],
                name="geocache_listed_order",
            ),
            # The difference that a run made, in order.
            models.Index(
                fields=["added_run", "sort_key", "prefix_length"], name="geocache_listed_new"
            ),
            models.Index(
                fields=["removed_run", "sort_key", "prefix_length"],
                name="geocache_listed_left",
                condition=Q(removed_run__isnull=False),
            ),
            # The same by score. Most lists have none: their entries are in none of these.
            models.Index(
                fields=["source", "is_listed", "-score", "sort_key", "prefix_length"],
                name="geocache_listed_score",
                condition=Q(score__isnull=False),
            ),
            models.Index(
                fields=["added_run", "-score", "sort_key", "prefix_length"],
                name="geocache_listed_new_score",
                condition=Q(score__isnull=False),
            ),
            models.Index(
                fields=["removed_run", "-score", "sort_key", "prefix_length"],
                name="geocache_listed_left_score",
                condition=Q(removed_run__isnull=False, score__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.entry

    @property
    def shown_score(self) -> str:
        """Return the score as the reader's language writes it: 9, not 9.0."""
        if self.score is None:
            return ""
        if abs(self.score) >= LONG_SCORE:
            return f"{self.score:.4g}"
        # Not more digits than are sure: 0.3, not 0.30000000000000004; zero has no sign.
        return number_format(Decimal(f"{self.score + 0.0:.15g}"), force_grouping=True)

    @property
    def shown_comment(self) -> str:
        """Return the comment in the letters of its publisher."""
        return unescaped(self.comment)


class Ban(models.Model):
    """A ban that was applied and not ended; recorded with the step that applied it."""

    entry = models.CharField(_("address or network"), max_length=43, primary_key=True)
    banned_at = InstantField(_("banned at"))

    class Meta:
        verbose_name = _("ban")
        verbose_name_plural = _("bans")

    def __str__(self) -> str:
        return self.entry
