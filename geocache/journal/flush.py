"""The write path: from the journal to the table, then out of the cache.

Per batch, in this order: seal and read segments; upsert and move the head in one transaction;
commit; delete the records. Killed anywhere, the next flush reads the same records again and the
upsert changes nothing. Two flushes at once are safe.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from itertools import count
from typing import Final

import structlog
from django.utils import timezone
from msgspec.structs import replace

from geocache import conf
from geocache.exceptions import AllRefused, FlushError, JournalUnavailable, UndecodableRecord
from geocache.journal import backlog, last_seen, reader, segments, table_writer
from geocache.journal.last_seen import LastSeen
from geocache.journal.reader import ClosedSegment
from geocache.location import Location, load_locations
from geocache.models import FlushRun, GeoCache, JournalHead, RejectedEntry
from geocache.models.connection import DATABASE_ERRORS, drop_broken_connection
from geocache.text import storable

log = structlog.get_logger(__name__)

# Answers and segments of one transaction: bounds its memory, whatever the backlog.
BATCH_ANSWERS: Final = 10_000
BATCH_SEGMENTS: Final = 128


@dataclass(slots=True, kw_only=True)
class FlushReport:
    """What a flush did: counts of answers, and how long it took in seconds."""

    flushed: int = 0
    rejected: int = 0
    # Records, not answers: what they held is not known.
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


def flush_dirty(time_limit_seconds: float | None = None) -> FlushReport:
    """Write every answer that was journaled before this call to the table.

    After ``time_limit_seconds`` (the setting ``FLUSH_TIME_LIMIT_SECONDS`` when None) it stops
    behind the batch at hand; what is left stays dirty. Raises ``FlushError`` when the cache or the
    database cannot be reached or refuses everything; then, too, nothing is lost. Not to be called
    inside a transaction: records are deleted from the cache once theirs has committed.
    """
    if time_limit_seconds is None:
        time_limit_seconds = conf.get("FLUSH_TIME_LIMIT_SECONDS")
    started_at, started = timezone.now(), time.monotonic()
    flush = _Flush(deadline=started + time_limit_seconds)
    problem = ""
    try:
        with reader.lock(time_limit_seconds):
            flush.run()
    except (JournalUnavailable, AllRefused) as error:
        problem = str(error)
    except DATABASE_ERRORS as error:
        drop_broken_connection()
        # On one line: PostgreSQL adds hints on others.
        problem = f"the database cannot be written: {' '.join(str(error).split())}"
    flush.report.seconds = round(time.monotonic() - started, 3)
    _keep_account(started_at, flush.report, problem)
    if problem:
        raise FlushError(problem)
    return flush.report


class _Flush:
    """One pass over the journal."""

    def __init__(self, *, deadline: float) -> None:
        self.alias: str = conf.get("CACHE_ALIAS")
        self.deadline = deadline
        self.report = FlushReport()
        self.deleted_through = 0

    def run(self) -> None:
        # Before anything is read or sealed: a database that is away ends the flush here.
        head = JournalHead.of(self.alias)
        # A flusher that was killed after its commit has left records behind.
        reader.forget_segments(head.deleted_through + 1, head.flushed_through)
        self.deleted_through = head.flushed_through
        last = reader.last_ticket()
        if segments.is_one_numbering(head.flushed_through, last):
            # From the head as it was read above, also when another flusher has moved it since: what
            # that one commits and does not live to delete is deleted here.
            self._flush_segments(_closed(head.flushed_through + 1, last))
        else:
            self._flush_after_loss(head.flushed_through, last)
        JournalHead.advance(self.alias, deleted_through=self.deleted_through)
        reader.publish_flushed_through(JournalHead.flushed_through_of(self.alias))
        self.report.pending = backlog.read_backlog().answer_count

    def _flush_after_loss(self, head: int, last: int) -> None:
        """Flush what is left of a numbering whose counter was lost, then follow the new one."""
        if head:
            # Writers see it by themselves: their next ticket is far from the last.
            log.error("geo_journal_counter_lost")
            if not self._flush_segments(_closed_until_untouched(head + 1)):
                return
        if last < head:
            self._flush_below(head, last)
        else:
            self._move_head(segments.base_of(last))
            self._flush_segments(_closed(segments.base_of(last) + 1, last))

    def _flush_below(self, head: int, last: int) -> None:
        """Flush below the head, where a lost counter went with the clock, then lift the counter."""
        first = segments.base_of(last) + 1
        if not self._flush_segments(_closed(first, last), moves_head=False):
            return
        before, after = reader.skip_past(head)
        # Tickets that were given out in between; from now on they are above the head.
        if self._flush_segments(_closed(last + 1, before), moves_head=False):
            self._move_head(after)

    def _move_head(self, position: int) -> None:
        JournalHead.advance(self.alias, flushed_through=position, deleted_through=position)
        self.deleted_through = position

    def _flush_segments(self, closed: Iterator[ClosedSegment], *, moves_head: bool = True) -> bool:
        """Write segments batch by batch; False when the time limit left some of them."""
        batch = Batch()
        for segment in closed:
            if batch.is_full():
                self._write(batch, moves_head=moves_head)
                batch = Batch()
                if time.monotonic() > self.deadline:
                    self.report.timed_out = True
                    return False
            if segment.lost_count and JournalHead.flushed_through_of(self.alias) < segment.number:
                log.error("geo_journal_records_lost", records=segment.lost_count)
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
            if moves_head:
                JournalHead.advance(
                    self.alias, flushed_through=batch.last, deleted_through=self.deleted_through
                )

        # Durable: an outer transaction could still roll back what is deleted from the cache below.
        written = table_writer.write(
            list(batch.newest.values()), in_same_transaction, is_durable=True
        )
        reader.forget(batch.records)
        if moves_head:
            self.deleted_through = batch.last
        self.report.flushed += written.accepted_count
        self.report.rejected += len(batch.unreadable) + written.refused_count


def _closed(first: int, last: int) -> Iterator[ClosedSegment]:
    return map(reader.close_segment, range(first, last + 1))


def _closed_until_untouched(first: int) -> Iterator[ClosedSegment]:
    untouched_count = 0
    for number in count(first):
        segment = reader.close_segment(number)
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
