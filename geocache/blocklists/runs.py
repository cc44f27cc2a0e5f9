"""The run of one import: the lease of its list, and how it begins and fails."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from geocache.blocklists.report import Report
from geocache.exceptions import GeocacheError, ImportBusy, ImportFailed
from geocache.instants import utc_now
from geocache.locks.process_identity import this_holder
from geocache.models import ImportRun, ImportSource
from geocache.models.connection import DATABASE_ERRORS, atomic, writing_alias
from geocache.text import storable

# How long a process that stopped renewing keeps a list, unless it is known to have ended.
LEASE_SECONDS: Final = 120
POLL_SECONDS: Final = 0.2
# To be raised when the readers of lists give something else for the same content: then each list
# is compared once more, although its content is the last that was applied.
READER_VERSION: Final = 1


@contextmanager
def held(name: str, wait_seconds: float) -> Iterator[tuple[ImportSource, str]]:
    """Hold a list, so that no other process imports it meanwhile; raise ``ImportBusy``."""
    source, _ = ImportSource.objects.get_or_create(name=name)
    holder, until = this_holder(), time.monotonic() + wait_seconds
    while not source.acquire(holder, LEASE_SECONDS):
        if time.monotonic() >= until:
            raise ImportBusy(f"another process imports {name} at this moment")
        time.sleep(POLL_SECONDS)
    try:
        yield source, holder
    finally:
        # A database that is away now lets the hold run out, for other processes than this one.
        with suppress(*DATABASE_ERRORS):
            source.release(holder)


def begin(source: ImportSource, sha256: str, report: Report, origin: str) -> ImportRun:
    """Return the run of this content, new or as it was left."""
    now = utc_now()
    with atomic():
        # Until this one is done the table holds none of the contents that there were.
        ImportSource.objects.filter(pk=source.pk).update(
            current_run=None, url_digest="", etag="", last_modified=""
        )
        others = source.runs.using(writing_alias()).exclude(sha256=sha256)
        others.filter(state=ImportRun.State.RUNNING).update(
            state=ImportRun.State.FAILED, error="ended before it was done, and overtaken by another"
        )
        run, _ = source.runs.get_or_create(sha256=sha256, defaults={"started_at": now})
        is_resumed = run.state != ImportRun.State.COMPLETED
        if not is_resumed or others.filter(started_at__gt=run.started_at).exists():
            # This content was on the list before, and others since: its difference is another one.
            run.started_at = now
            run.added_count = run.removed_count = run.changed_count = 0
        run.state, run.error, run.finished_at = ImportRun.State.RUNNING, "", None
        run.reader_version = READER_VERSION
        run.origin, run.bad_lines = storable(origin)[:200], storable("\n".join(report.bad_lines))
        for name in ("format_name", "line_count", "bad_count", "entry_count", "network_count"):
            setattr(run, name, getattr(report, name))
        run.save()
    return run


@contextmanager
def failing(run: ImportRun, holder: str) -> Iterator[None]:
    """Mark the run as failed when something fails; raise ``ImportFailed``."""
    try:
        yield
    except ImportBusy:
        # It is another's now.
        raise
    except (GeocacheError, OSError, *DATABASE_ERRORS) as error:
        said = " ".join(str(error).split())
        _mark_failed(run, holder, said)
        raise ImportFailed(said) from error
    except BaseException:
        _mark_failed(run, holder, "stopped before it was done")
        raise


def _mark_failed(run: ImportRun, holder: str, said: str) -> None:
    with suppress(*DATABASE_ERRORS):
        ImportRun.objects.filter(pk=run.pk, source__holder=holder).update(
            state=ImportRun.State.FAILED, finished_at=utc_now(), error=storable(said)[:1000]
        )
