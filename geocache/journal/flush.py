"""The write path: from the journal to the table, then out of the cache.

Per batch, in this order: seal and read segments; upsert and move the head in one transaction;
commit; delete the records. Killed anywhere, the next flush reads the same records again and the
upsert changes nothing. Two flushes at once are safe.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from itertools import count
from typing import Final

from msgspec.structs import replace

from geocache import conf, counters, signals
from geocache.cache import backends
from geocache.exceptions import (
    AllRefused,
    FlushError,
    JournalUnavailable,
    PartlyFlushed,
    UndecodableRecord,
)
from geocache.instants import utc_now
from geocache.journal import backlog, identity, last_seen, reader, segments, table_writer
from geocache.journal.announcements import send_changes
from geocache.journal.last_seen import LastSeen
from geocache.journal.reader import ClosedSegment, Position
from geocache.journal.restore import restore
from geocache.location import Location, load_locations
from geocache.log import get_logger
from geocache.models import FlushRun, GeoCache, JournalHead, RejectedEntry
from geocache.models.connection import DATABASE_ERRORS, drop_broken_connection
from geocache.signals import LocationChange
from geocache.text import storable

log = get_logger(__name__)

# Answers and segments of one transaction: bounds its memory, whatever the backlog.
BATCH_ANSWERS: Final = 25_000
BATCH_SEGMENTS: Final = 320


@dataclass(slots=True, kw_only=True)
class FlushReport:
    """What a flush did: counts of answers, and how long it took in seconds."""

    flushed: int = 0
    rejected: int = 0
    # Records that the cache has lost, of answers that are not known; and answers that a database
    # has lost.
    lost: int = 0
    pending: int = 0
    timed_out: bool = False
    seconds: float = 0.0


@dataclass(slots=True)
class Batch:
    """Closed segments on their way into one transaction."""

    last: int = 0
    records: list[str] = field(default_factory=list)
    newest: dict[str, Location] = field(default_factory=dict)
    # When addresses and networks were asked for that their answers do not tell.
    asked: dict[str, date] = field(default_factory=dict)
    unreadable: list[RejectedEntry] = field(default_factory=list)
    # Of all records, also those that another one is newer than.
    answer_count: int = 0
    segment_count: int = 0

    def is_full(self) -> bool:
        """Tell whether another segment would make the transaction too large."""
        count = len(self.newest) + len(self.asked)
        return count >= BATCH_ANSWERS or self.segment_count >= BATCH_SEGMENTS

    def take(self, segment: ClosedSegment) -> None:
        """Add the records of a segment; of two answers for one address the newer counts."""
        self.last = segment.number
        self.segment_count += 1
        for key, text in segment.records.items():
            self.records.append(key)
            try:
                if last_seen.is_record(text):
                    self._take_last_seen(last_seen.load_record(text))
                else:
                    self._take_answers(load_locations(text))
            except UndecodableRecord as error:
                self.unreadable.append(RejectedEntry(record=storable(text), error=str(error)))

    def _take_answers(self, locations: list[Location]) -> None:
        self.answer_count += len(locations)
        for location in locations:
            held = self.newest.get(location.address)
            if held is None or held.resolved_at <= location.resolved_at:
                self.newest[location.address] = location
            if held is not None and held.is_renewed != location.is_renewed:
                # Whichever is the newer: one of the two was asked for, at nearly the same time.
                newer = self.newest[location.address]
                self.newest[location.address] = replace(newer, is_renewed=False)

    def _take_last_seen(self, note: LastSeen) -> None:
        for name in note.names:
            self.asked[name] = max(note.day, self.asked.get(name, note.day))


def flush_dirty(
    time_limit_seconds: float | None = None,
    *,
    alias: str | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> FlushReport:
    """Write every answer that was journaled before this call to the table.

    Of each journal in ``CACHE_ALIASES``, or of the cache ``alias`` alone; the report is the sum.

    After ``time_limit_seconds`` (the setting ``FLUSH_TIME_LIMIT_SECONDS`` when None), or when
    ``is_stopped``, it stops after the batch at hand; what is left stays dirty. Raises
    ``FlushError`` when a cache or the database cannot be reached or refuses everything; then,
    too, nothing is lost, and the other journals are flushed: ``PartlyFlushed``. Not to be called
    inside a transaction: records are deleted from the cache once theirs has committed.
    """
    if time_limit_seconds is None:
        time_limit_seconds = conf.get("FLUSH_TIME_LIMIT_SECONDS")
    aliases = [alias] if alias else backends.journal_aliases()
    if len(aliases) == 1:
        report, problem = _flush_one(aliases[0], time_limit_seconds, is_stopped)
        if problem:
            raise FlushError(problem)
        return report
    return _flush_each(aliases, time_limit_seconds, is_stopped)


def _flush_each(
    aliases: list[str], time_limit_seconds: float, is_stopped: Callable[[], bool]
) -> FlushReport:
    """Flush several journals, each for an equal share of the time that is left."""
    started = time.monotonic()
    reports: dict[str, list[FlushReport]] = {one: [] for one in aliases}
    problems: dict[str, str] = {}
    waiting = aliases
    while waiting:
        for place, alias in enumerate(waiting):
            left = started + time_limit_seconds - time.monotonic()
            report, problem = _flush_one(
                alias, max(left, 0) / (len(waiting) - place), is_stopped, name=alias
            )
            reports[alias].append(report)
            if problem:
                problems[alias] = problem
        is_over = time.monotonic() - started > time_limit_seconds or is_stopped()
        # The time that others did not need is for those that were stopped by their share.
        waiting = [one for one in waiting if reports[one][-1].timed_out and one not in problems]
        if is_over:
            break
    if problems:
        said = "; ".join(f"{alias}: {problem}" for alias, problem in problems.items())
        raise (FlushError if len(problems) == len(aliases) else PartlyFlushed)(said)
    return _sum(list(reports.values()), round(time.monotonic() - started, 3))


def _sum(of_each: list[list[FlushReport]], seconds: float) -> FlushReport:
    """Return one report of several journals, each of which was flushed once or more."""
    runs = [run for some in of_each for run in some]
    return FlushReport(
        flushed=sum(run.flushed for run in runs),
        rejected=sum(run.rejected for run in runs),
        lost=sum(run.lost for run in runs),
        pending=sum(some[-1].pending for some in of_each),
        timed_out=any(some[-1].timed_out for some in of_each),
        seconds=seconds,
    )


def _flush_one(
    alias: str, time_limit_seconds: float, is_stopped: Callable[[], bool], *, name: str = ""
) -> tuple[FlushReport, str]:
    """Flush the journal of one cache; return what was done, and what was wrong.

    What is noted as wrong begins with ``name``, if there is one.
    """
    started_at, started = utc_now(), time.monotonic()
    problem = "interrupted"
    with backends.using(alias):
        flush = _Flush(started + time_limit_seconds, is_stopped)
    try:
        with backends.using(alias):
            problem = _run(flush, time_limit_seconds)
            flush.report.seconds = round(time.monotonic() - started, 3)
        said = f"{name}: {problem}" if name and problem else problem
        _keep_account(started_at, flush.report, said)
    finally:
        _count(flush.report, problem, time.monotonic() - started)
        # Of an interrupted flush, too, some batches have committed. The lock is released by now.
        for changes in flush.changes:
            send_changes(changes)
    signals.send(signals.flush_finished, FlushRun, error=said, **asdict(flush.report))
    return flush.report, problem


def _run(flush: "_Flush", time_limit_seconds: float) -> str:
    """Flush alone, and return what was wrong; the empty text when nothing was."""
    try:
        with reader.lock(time_limit_seconds):
            flush.run()
    except (JournalUnavailable, AllRefused) as error:
        return str(error)
    except DATABASE_ERRORS as error:
        drop_broken_connection()
        # On one line: PostgreSQL adds hints on others.
        return f"the database cannot be written: {' '.join(str(error).split())}"
    return ""


class _Flush:
    """One pass over the journal."""

    def __init__(self, deadline: float, is_stopped: Callable[[], bool]) -> None:
        # The name of its head.
        self.journal = ""
        self.deadline = deadline
        self.is_stopped = is_stopped
        self.report = FlushReport()
        self.deleted_through = 0
        # Of each transaction, if anything receives them.
        self.changes: list[list[LocationChange]] = []

    def run(self) -> None:
        self.journal = identity.claim()
        # In this order: another flusher moves the database's head before it tells the cache.
        published = reader.published()
        # Before anything is read or sealed: a database that is away ends the flush here.
        head = JournalHead.of(self.journal)
        self._make_up(head, published)
        # A flusher that was killed after its commit has left records behind.
        reader.forget_segments(head.deleted_through + 1, head.flushed_through)
        self.deleted_through = head.flushed_through
        last, number = reader.begin_flush()
        if head.flush_number and not segments.is_later_flush(head.flush_number + 1, number):
            log.error("geo_journal_counter_lost")
            self._flush_lost(head.flushed_through, last, published.flushed_through)
        elif segments.is_one_numbering(head.flushed_through, last):
            # From the head as it was read above, also when another flusher has moved it since: what
            # that one commits and does not live to delete is deleted here.
            self._flush_segments(_closed(head.flushed_through + 1, last))
        else:
            if head.flushed_through:
                log.error("geo_journal_counter_lost")
            self._flush_lost(head.flushed_through, last, 0)
        JournalHead.advance(self.journal, deleted_through=self.deleted_through)
        JournalHead.written().filter(alias=self.journal).update(flush_number=number)
        self.report.pending = backlog.recount(self._publish())

    def _note_changes(self, changes: list[LocationChange]) -> None:
        if changes and signals.location_changed.receivers:
            self.changes.append(changes)

    def _publish(self) -> int:
        """Tell the cache how far the journal is flushed, and return it."""
        head = JournalHead.of(self.journal)
        reader.publish(Position(head.flushed_through, head.written_count))
        return head.flushed_through

    def _make_up(self, head: JournalHead, published: Position) -> None:
        """Repair a database that lacks what it had committed.

        It failed over to a replica that was behind, or was restored from a backup.
        """
        missing_count = published.written_count - head.written_count
        if missing_count <= 0 or published.flushed_through <= head.flushed_through:
            return
        restored_count = restore(self._note_changes)
        lost_count = max(missing_count - restored_count, 0)
        self.report.flushed += restored_count
        self.report.lost += lost_count
        log.error(
            "geo_database_went_back",
            written=missing_count,
            restored=restored_count,
            lost=lost_count,
        )
        # Its segments are empty, and sealed by an earlier flush.
        self._move_head(published.flushed_through)
        JournalHead.advance(self.journal, written=missing_count)
        head.refresh_from_db()

    def _flush_lost(self, head: int, last: int, flushed_before: int) -> None:
        """Flush what is left after the cache was emptied, or is in an earlier state again.

        Writers see it by themselves: tickets, or the numbers of flushes, are far from the last.
        """
        is_new = last > head + segments.JUMP
        if head and not self._flush_segments(_closed_until_untouched(head + 1)):
            return
        if is_new:
            self._move_head(segments.base_of(last))
            self._flush_segments(_closed(segments.base_of(last) + 1, last))
        else:
            self._flush_below(head, last, flushed_before)

    def _flush_below(self, head: int, last: int, flushed_before: int) -> None:
        """Flush below the head, where the counter went back to, then lift the counter over it.

        From where the cache's copy of the head went back to, if that is of this numbering.
        """
        first = max(segments.base_of(last), min(flushed_before, last)) + 1
        if not self._flush_segments(_closed(first, last), moves_head=False):
            return
        before, after = reader.skip_past(max(head, last))
        # Tickets that were given out in between; from now on they are above the head.
        if self._flush_segments(_closed(last + 1, before), moves_head=False):
            self._move_head(after)

    def _move_head(self, position: int) -> None:
        JournalHead.advance(self.journal, flushed_through=position, deleted_through=position)
        self.deleted_through = position

    def _flush_segments(self, closed: Iterator[ClosedSegment], *, moves_head: bool = True) -> bool:
        """Write segments batch by batch; False when the time limit left some of them."""
        batch = Batch()
        for segment in closed:
            if batch.is_full():
                self._write(batch, moves_head=moves_head)
                batch = Batch()
                if time.monotonic() > self.deadline or self.is_stopped():
                    self.report.timed_out = True
                    return False
            if segment.lost_count and JournalHead.flushed_through_of(self.journal) < segment.number:
                log.error("geo_journal_records_lost", lost_records=segment.lost_count)
                # Before the head passes: writers let go of what is below it.
                reader.announce_loss()
                self.report.lost += segment.lost_count
            batch.take(segment)
        if batch.segment_count:
            self._write(batch, moves_head=moves_head)
        return True

    def _write(self, batch: Batch, *, moves_head: bool) -> None:

        def in_same_transaction() -> None:
            RejectedEntry.objects.bulk_create(batch.unreadable)
            GeoCache.objects.mark_seen(batch.asked)
            JournalHead.advance(
                self.journal,
                flushed_through=batch.last if moves_head else 0,
                deleted_through=self.deleted_through if moves_head else 0,
                written=len(batch.newest),
            )

        # Durable: an outer transaction could still roll back what is deleted from the cache below.
        written = table_writer.write(
            list(batch.newest.values()), in_same_transaction, is_durable=True
        )
        self._note_changes(written.changes)
        # Before the records go: a database that fails over now lacks them, and has to be found out.
        self._publish()
        reader.forget(batch.records)
        reader.count_deleted(batch.answer_count)
        if moves_head:
            self.deleted_through = batch.last
        self.report.flushed += written.accepted_count
        self.report.rejected += len(batch.unreadable) + written.refused_count


def _count(report: FlushReport, problem: str, seconds: float) -> None:
    result = "failed" if problem else "timed_out" if report.timed_out else "done"
    counters.count((counters.FLUSHES, result))
    counters.count(counters.FLUSH_MICROSECONDS, int(seconds * 1e6))
    counters.count(counters.FLUSHED_ROWS, report.flushed)
    counters.count(counters.REJECTED, report.rejected)
    counters.count(counters.LOST, report.lost)


def _closed(first: int, last: int) -> Iterator[ClosedSegment]:
    return reader.close_segments(range(first, last + 1))


def _closed_until_untouched(first: int) -> Iterator[ClosedSegment]:
    untouched_count = 0
    for segment in reader.close_segments(count(first)):
        untouched_count = untouched_count + 1 if segment.is_untouched else 0
        if untouched_count > reader.EMPTY_SEGMENTS:
            return
        yield segment


def _keep_account(started_at: datetime, report: FlushReport, problem: str) -> None:
    did_something = report.flushed or report.rejected or report.lost or report.timed_out
    if not (did_something or problem):
        return
    try:
        FlushRun.objects.create(started_at=started_at, error=storable(problem), **asdict(report))
    except DATABASE_ERRORS as error:
        log.warning("geo_flush_run_not_recorded", error=str(error))
