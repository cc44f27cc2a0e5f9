"""Judge what answers are kept in: cache, database, and the journal between them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from geocache import conf
from geocache.health.finding import CRITICAL, WARNING, Finding, critical, number, warning
from geocache.journal.backlog import patience
from geocache.status import DATABASE, STORED_PARTS, UNMIGRATED, JournalStatus, Status

# The share of BACKLOG_LIMIT from which one is warned.
HALF: Final = 0.5
# Parts that nothing works without.
VITAL: Final = ("cache", DATABASE)
# What parts are called here that have another name in ``status``.
PART_NAMES: Final = {"flushes": "flush", "queries": "quota"}


def judge_cache(status: Status, _at: datetime) -> Iterator[Finding]:
    """Judge whether the cache answers and can hold the journal."""
    if "cache" in status.silent_parts:
        return
    if status.is_journal_possible is False:
        said = _(
            "The cache cannot hold the journal: each new answer is written to the database at "
            "once. Name a cache that can in CACHES; manage.py check says what is wrong with it."
        )
        yield warning("cache", "cache-unusable", said)
    elif is_cache_away(status):
        reason = status.errors.get("cache") or status.errors.get("journal", "")
        said = _(
            "The cache does not answer: each new answer is written to the database at once. "
            "Start its server, or correct its entry in CACHES."
        )
        yield critical("cache", "cache-unavailable", f"{said} ({reason})" if reason else said)


def judge_database(status: Status, _at: datetime) -> Iterator[Finding]:
    """Judge whether the database answers, and has its tables."""
    error = status.errors.get(DATABASE, "")
    if not error or DATABASE in status.silent_parts:
        return
    if error.startswith(UNMIGRATED):
        said = _("Tables are missing in the database: no answer can be saved. Run %(command)s.")
        command = f"manage.py migrate{error.removeprefix(UNMIGRATED)}"
        yield critical(DATABASE, "database-not-migrated", said % {"command": command})
        return
    said = _("New answers wait in the cache until it is there. Start it, or correct DATABASES.")
    yield critical(DATABASE, "database-unavailable", f"{error[:1].upper()}{error[1:]}. {said}")


def judge_silence(status: Status, _at: datetime) -> Iterator[Finding]:
    """Judge parts that gave no answer in time; what waits for another one is not said."""
    for part in sorted(status.silent_parts):
        if part not in VITAL and _waits_for_another(part, status):
            continue
        found = critical if part in VITAL else warning
        said = _("%(part)s: %(error)s. It hangs or is overloaded: see what it waits for.")
        text = said % {"part": part, "error": status.errors[part]}
        yield found(PART_NAMES.get(part, part), "part-slow", text, part)


def judge_reading(status: Status, _at: datetime) -> Iterator[Finding]:
    """Judge parts that cannot be read although what they are kept in is there."""
    for part, error in status.errors.items():
        # Of these another judge knows more.
        is_judged = part in status.silent_parts or part in (*VITAL, "provider", "bans")
        if is_judged or _waits_for_another(part, status):
            continue
        anchor = "cache-unavailable" if part in ("journal", "queries") else "database-unavailable"
        text = _("%(part)s cannot be read: %(error)s") % {"part": part, "error": error}
        yield warning(PART_NAMES.get(part, part), anchor, text, part)


def judge_journal(status: Status, _at: datetime) -> Iterator[Finding]:
    """Judge how much waits to be flushed, and for how long."""
    for one in status.journals:
        yield from _judge_one(one, status)
    if not status.journals:
        whole = JournalStatus(
            alias="",
            pending_count=status.pending_count,
            oldest_pending_seconds=status.oldest_pending_seconds,
        )
        yield from _judge_one(whole, status)


def _judge_one(journal: JournalStatus, status: Status) -> Iterator[Finding]:
    """Judge one journal; it has an alias where there are several."""
    alias, said_of = journal.alias, f"{journal.alias}: " if journal.alias else ""
    count, limit = journal.pending_count, conf.get("BACKLOG_LIMIT")
    if journal.error:
        said = _("%(part)s cannot be read: %(error)s") % {"part": alias, "error": journal.error}
        yield critical("journal", "cache-unavailable", said, alias)
    if count is None:
        return
    if limit and count >= HALF * limit:
        said = ngettext(
            "%(count)s answer waits to be flushed, of %(limit)s that may; beyond that each is "
            "written to the database at once. See why flushes fail or are too slow.",
            "%(count)s answers wait to be flushed, of %(limit)s that may; beyond that each is "
            "written to the database at once. See why flushes fail or are too slow.",
            count,
        )
        found = critical if count >= limit else warning
        text = said % {"count": number(count), "limit": number(limit)}
        yield found("journal", "journal-backlog", f"{said_of}{text}", alias)
    level = _lateness(journal.oldest_pending_seconds)
    if status.is_flush_scheduled is not False and level:
        waited = timedelta(seconds=round(journal.oldest_pending_seconds or 0))
        said = _(
            "Answers have waited for %(time)s (h:mm:ss) to be flushed. Nothing is lost, but they "
            "are in the cache only. See why flushes fail or are too slow, or run "
            "manage.py flush_geo."
        )
        found = critical if level == CRITICAL else warning
        text = said % {"time": waited}
        yield found("journal", "journal-backlog", f"{said_of}{text}", alias)


def judge_flush(status: Status, _at: datetime) -> Iterator[Finding]:
    """Judge whether flushes work, and whether something starts them."""
    if status.last_flush is not None and status.last_flush.error:
        said = _("The last flush failed: %(error)s. Answers stay in the cache until one succeeds.")
        text = said % {"error": status.last_flush.error.rstrip(".")}
        yield critical("flush", "flush-failed", text)
    if status.is_flush_scheduled is False and status.pending_count:
        said = _(
            "Answers wait to be flushed, and nothing runs the flush. Start "
            "manage.py schedule_geo, or have cron, systemd or Celery run the jobs."
        )
        found = critical if _lateness(status.oldest_pending_seconds) == CRITICAL else warning
        yield found("scheduler", "flush-not-scheduled", said)


def is_cache_away(status: Status) -> bool:
    """Tell whether the cache neither says what it can, nor is waited for."""
    return bool(status.is_journal_possible is None and status.cache_backend) or (
        "cache" in status.errors
    )


def _lateness(waited_seconds: float | None) -> str:
    """Return how bad it is that the oldest answer waits; the empty text: not at all."""
    if waited_seconds is None:
        return ""
    waited = timedelta(seconds=waited_seconds)
    late, longest = patience()
    if waited > longest:
        return CRITICAL
    return WARNING if waited > late else ""


def _waits_for_another(part: str, status: Status) -> bool:
    """Tell whether a part is not there because cache or database is not."""
    stored = {name for name, _ in STORED_PARTS} | {"bans"}
    if part in stored and DATABASE in status.errors:
        return True
    is_cache_wrong = is_cache_away(status) or status.is_journal_possible is False
    return part in ("journal", "queries") and is_cache_wrong
