"""Import lists of addresses: each content of each list is applied once, however often it comes.

1. The content is kept in a file and hashed. Was it the last that was applied: nothing to do.
2. One process at a time holds a list. A lease lapses when its holder exits or stops renewing it.
3. The entries in order are compared with those that the table holds; only differences are written,
   batch by batch, each in one transaction that also renews the hold. Killed anywhere, the next
   import finds what is left to do by comparing again.
4. Bans, if there are any; then the run is marked as completed.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from typing import Final

from django.db.models import F

from geocache import conf, signals
from geocache.addresses.blocks import Entry
from geocache.bans import apply as bans
from geocache.blocklists import sources
from geocache.blocklists.diff import Change, Kind, differences
from geocache.blocklists.entries import STOPPED, Entries, Limits
from geocache.blocklists.formats.base import Options
from geocache.blocklists.import_options import content_id
from geocache.blocklists.kept_entries import as_kept, entries_of
from geocache.blocklists.outcome import APPLIED, COMPARED, UNCHANGED, WARMED, Outcome, Progress
from geocache.blocklists.report import Report
from geocache.blocklists.runs import LEASE_SECONDS, READER_VERSION, begin, failing, held
from geocache.blocklists.sources import Content, Origin
from geocache.blocklists.spool import Spooled
from geocache.exceptions import ImportBusy, ImportFailed
from geocache.instants import utc_now
from geocache.lookup import lookup_many
from geocache.lookup.memory import memory
from geocache.models import ImportRun, ImportSource, ListedAddress
from geocache.models.connection import after_commit, atomic, writing_alias

# Differences that are looked up together and written in one transaction.
BATCH_ENTRIES: Final = 2_000
# Entries after which the hold is renewed anyway.
KEEP_ENTRIES: Final = 100_000


def import_list(
    origin: Origin,
    spooled: Spooled,
    *,
    wait_seconds: float = 0.0,
    progress: Progress | None = None,
) -> Outcome:
    """Apply a content of a list, unless it is what the table holds already.

    Waits so long for another process that imports the list, then raises ``ImportBusy``. Raises
    ``ImportFailed``; the same import again then goes on where it was.
    """
    started, progress, name = time.monotonic(), progress or Progress(), origin.name
    identity = content_id(spooled.sha256, origin.options)
    if (run := _applied(name, identity)) and not bans.are_due():
        return _found_again(name, run)
    with (
        read_entries(spooled, origin.options, progress) as entries,
        held(name, wait_seconds) as (source, holder),
    ):
        if (run := _applied(name, identity)) and not bans.are_due():
            # By the process that was waited for.
            return _found_again(name, run)
        run = begin(source, identity, entries.report, origin.shown)
        done = Import(source, holder, run, entries, progress)
        with failing(run, holder):
            report = done.apply()
    run.refresh_from_db(using=writing_alias())
    if run.added_count or run.removed_count or run.changed_count:
        after_commit(lambda: _announce(name, run))
    return Outcome(
        name=name,
        status=APPLIED,
        sha256=identity,
        **asdict(entries.report),
        added_count=run.added_count,
        removed_count=run.removed_count,
        changed_count=run.changed_count,
        banned_count=report.banned,
        unbanned_count=report.unbanned,
        skipped_counts=report.skipped,
        seconds=round(time.monotonic() - started, 3),
    )


def _announce(name: str, run: ImportRun) -> None:
    signals.send(
        signals.blocklist_changed,
        ImportSource,
        name=name,
        added_count=run.added_count,
        removed_count=run.removed_count,
        changed_count=run.changed_count,
        run_id=run.pk,
    )


def import_content(
    origin: Origin,
    content: Content | None,
    *,
    wait_seconds: float = 0.0,
    progress: Progress | None = None,
) -> Outcome:
    """Apply what came from ``origin``, as ``import_list`` does; None is what the table holds."""
    outcome = _apply_content(origin, content, wait_seconds, progress)
    # Also of the scheduler, when a person has done by hand what it could not.
    ImportSource.objects.filter(name=origin.name).update(problem="")
    return outcome


def _apply_content(
    origin: Origin, content: Content | None, wait_seconds: float, progress: Progress | None
) -> Outcome:
    if content is None:
        rows = ImportRun.objects.using(writing_alias())
        rows = rows.filter(source__name=origin.name, source__current_run=F("pk"))
        if run := rows.first():
            return _found_again(origin.name, run)
        raise ImportFailed("another import has begun meanwhile; try again")
    outcome = import_list(origin, content.spooled, wait_seconds=wait_seconds, progress=progress)
    if content.fetched:
        sources.remember(origin, content.fetched)
    return outcome


def compare(origin: Origin, spooled: Spooled, progress: Progress | None = None) -> Outcome:
    """Return what an import would do; write nothing."""
    progress = progress or Progress()
    source = ImportSource.objects.using(writing_alias()).filter(name=origin.name).first()
    with read_entries(spooled, origin.options, progress) as entries:
        outcome = _outcome(origin, COMPARED, spooled, entries.report)
        counts = Counter(kind for kind, _ in differences(map(as_kept, entries), entries_of(source)))
    outcome.added_count, outcome.removed_count = counts[Kind.ADDED], counts[Kind.REMOVED]
    outcome.changed_count = counts[Kind.CHANGED]
    return outcome


def warm(origin: Origin, spooled: Spooled, progress: Progress | None = None) -> Outcome:
    """Look all addresses of a content up again, and apply nothing."""
    progress = progress or Progress()
    with read_entries(spooled, origin.options, progress) as entries:
        outcome = _outcome(origin, WARMED, spooled, entries.report)
        progress.total(outcome.entry_count)
        remaining = iter(entries)
        while batch := list(islice(remaining, BATCH_ENTRIES)):
            _stop_if(progress)
            locate(batch)
            progress.compared(len(batch))
    return outcome


def _outcome(origin: Origin, status: str, spooled: Spooled, report: Report) -> Outcome:
    identity = content_id(spooled.sha256, origin.options)
    return Outcome(origin.name, status, identity, **asdict(report))


@contextmanager
def read_entries(spooled: Spooled, options: Options, progress: Progress) -> Iterator[Entries]:
    """Give the entries of a content for a while; raise ``ImportFailed`` when there is none."""
    limits = Limits(
        seconds=conf.get("IMPORT_TIME_LIMIT_SECONDS"),
        setting="IMPORT_TIME_LIMIT_SECONDS",
        is_stopped=progress.is_stopped,
    )
    entries = Entries(spooled, options, watch=progress.read, limits=limits)
    try:
        yield entries
    finally:
        entries.close()


class Import:
    """One content on its way into the table."""

    def __init__(
        self,
        source: ImportSource,
        holder: str,
        run: ImportRun,
        entries: Entries,
        progress: Progress,
    ) -> None:
        self.source = source
        self.holder = holder
        self.run = run
        self.entries = entries
        self.progress = progress

    def apply(self) -> bans.BanReport:
        self.progress.total(self.entries.report.entry_count)
        changes = differences(map(as_kept, self._counted()), entries_of(self.source))
        while batch := list(islice(changes, BATCH_ENTRIES)):
            _stop_if(self.progress)
            self._write(batch)
        report = bans.apply_bans(self.renew)
        self.complete()
        return report

    def _counted(self) -> Iterator[Entry]:
        for number, entry in enumerate(self.entries, 1):
            yield entry
            if number % BATCH_ENTRIES == 0:
                _stop_if(self.progress)
                self.progress.compared(BATCH_ENTRIES)
            if number % KEEP_ENTRIES == 0:
                # Where few entries have changed, no batch is written for long.
                self.renew()

    def _write(self, batch: list[Change]) -> None:
        added, removed, changed = (
            [change.entry for change in batch if change.kind is kind] for kind in Kind
        )
        # First, so that whatever is on the list is in the table with the next flush.
        locate(added)
        at, run = utc_now(), self.run
        with atomic():
            self.renew()
            ListedAddress.objects.mark_added(added, run, at)
            ListedAddress.objects.mark_removed(removed, run, at)
            ListedAddress.objects.mark_changed(changed, run, at)
            ImportRun.objects.filter(pk=run.pk).update(
                added_count=F("added_count") + len(added),
                removed_count=F("removed_count") + len(removed),
                changed_count=F("changed_count") + len(changed),
            )

    def complete(self) -> None:
        with atomic():
            self.renew()
            ImportRun.objects.filter(pk=self.run.pk).update(
                state=ImportRun.State.COMPLETED, finished_at=utc_now(), error=""
            )
            # Counted anew with the next flush, which brings the new answers.
            ImportSource.objects.filter(pk=self.source.pk).update(
                current_run=self.run, is_counted=False
            )

    def renew(self) -> None:
        if not self.source.renew(self.holder, LEASE_SECONDS):
            raise ImportBusy("another process has taken this import over")


def _applied(name: str, sha256: str) -> ImportRun | None:
    """Return the run of a content if it is what the table holds."""
    runs = ImportRun.objects.using(writing_alias())
    return runs.filter(
        source__name=name,
        sha256=sha256,
        state=ImportRun.State.COMPLETED,
        source__current_run=F("pk"),
        reader_version=READER_VERSION,
    ).first()


def _found_again(name: str, run: ImportRun) -> Outcome:
    run.seen_at = utc_now()
    run.save(update_fields=["seen_at"])
    return Outcome(
        name=name,
        status=UNCHANGED,
        sha256=run.sha256,
        format_name=run.format_name,
        line_count=run.line_count,
        bad_count=run.bad_count,
        bad_lines=run.bad_lines.splitlines(),
        entry_count=run.entry_count,
        network_count=run.network_count,
    )


def locate(entries: list[Entry]) -> None:
    """Look up the addresses among entries, so that their locations are known."""
    # Kept for pages, where the same few addresses come again; a long list only fills it.
    memory.clear()
    lookup_many(one.text for one in entries if not one.is_network)


def _stop_if(progress: Progress) -> None:
    if progress.is_stopped():
        raise ImportFailed(STOPPED)
