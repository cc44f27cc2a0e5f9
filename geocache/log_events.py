"""Every event that geocache logs: its level, its keys, when it is logged, and the page on it.

An event always has the same keys: one that does not apply is None, and is never left out.
``docs/log-events.md`` is made of this module; a test compares both with what the code logs.
"""

from dataclasses import dataclass
from typing import Any, Final

TROUBLESHOOTING: Final = "docs/troubleshooting.md"
# The key of a warning or an error that names the page with what to do.
HELP: Final = "help"

# What a key means, the same in every event. Numbers without a unit count what they are named for.
KEYS: Final = {
    "added": "entries that are new in a list",
    "address": "an IP address, or `unix` for a Unix socket",
    "asked": "queries to a provider since midnight UTC",
    "bad": "lines or values of a list that could not be read",
    "banned": "entries that were banned",
    "build": "what a database file says of itself: type and day",
    "by": "the user who has changed it",
    "by_kind": "of how many rows each kind of change is: a row may have several",
    "compared": "rows that were compared",
    "count": "how many: what it counts, the event says",
    "database": "name of a database that is downloaded",
    "dropped": "answers that were given up, as the spill buffer was full",
    "ended": "bans that were ended",
    "error": "what went wrong, in one line",
    "failed": "rows that the provider could not resolve",
    "field": "a field of a model, `app.Model.field`",
    "fields": "paths in the answer of a web service",
    "files_removed": "files that were deleted",
    "flushed": "answers that were written to the table",
    "history_removed": "entries of the history that were deleted",
    "holder": "a process that runs the jobs, or did: machine and number",
    "interval_seconds": "seconds between two runs",
    "is_complete": "whether all was done, not only what the time limit allowed",
    "job": "a job, such as `geo_cache_flush`",
    "kept": "answers that wait in the spill buffer",
    "key": "key in the Django cache, without its prefix",
    "limit": "queries that a provider may be asked in a day",
    "list": "a blocklist, by its name in `IMPORT_SOURCES`",
    "lost": "answers that could not be restored",
    "lost_records": "records of the journal that the cache lost before a flush",
    "moved": "rows whose country, region, city, operator or kind of network is another one",
    "part": "a part of the work that has failed",
    "path": "a file",
    "pending": "answers that wait in the journal",
    "provider": "a provider, by its name",
    "pruned": "rows that were deleted",
    "receiver": "a receiver of a signal, by its dotted path",
    "rejected": "answers that the database refused, or records that could not be read",
    "rejected_removed": "rejected answers that were deleted",
    "remaining": "queries that are left, as the service says",
    "removed": "entries that have left a list",
    "repeated": "bans that were asked for again, as they were not in force",
    "resolved": "rows that were resolved again",
    "restored": "answers or cache entries that were restored",
    "seconds": "how long it took, or has waited",
    "setting": "a setting of `GEOCACHE`",
    "signal": "a signal of `geocache.signals`",
    "skipped": "entries that are never banned",
    "source": "`default`, `settings file`, `environment` or `admin`",
    "task": "what the background thread of a process does",
    "written": "answers that the database had written, and lacks",
}


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event; ``anchor`` names the section of the page that says what to do."""

    level: str
    keys: tuple[str, ...]
    when: str
    anchor: str = ""


EVENTS: Final[dict[str, LogEvent]] = {
    "geo_addresses_moved": LogEvent(
        "info",
        ("compared", "moved", "by_kind", "is_complete"),
        "a new database was compared with the table",
    ),
    "geo_after_flush_failed": LogEvent(
        "warning",
        ("part", "error"),
        "after a flush, the counts of the `table` or of the `lists` were not made, or old `runs` "
        "not deleted; the flush itself has succeeded",
        "not-recorded",
    ),
    "geo_answers_rejected": LogEvent(
        "warning",
        ("rejected",),
        "answers were written without the journal, and the database refused some of them",
        "rejected-entries",
    ),
    "geo_answers_unrecorded": LogEvent(
        "error",
        ("kept", "dropped", "error"),
        "neither the journal nor the table took new answers; once a minute in each process",
        "unrecorded-answers",
    ),
    "geo_api_database_unavailable": LogEvent(
        "error",
        ("error",),
        "a request of the API was answered with 503; once a minute in each process",
        "database-unavailable",
    ),
    "geo_background_task_failed": LogEvent(
        "warning",
        ("task", "error"),
        "something that each process does every few seconds has failed, and is tried again; once a "
        "minute in each process",
        "background-task-failed",
    ),
    "geo_bans_ran": LogEvent(
        "info",
        ("banned", "ended", "repeated", "skipped"),
        "the job has banned entries, or ended bans",
    ),
    "geo_cache_backlog_is_old": LogEvent(
        "warning",
        ("pending", "seconds"),
        "the oldest answer of the journal has waited for more than three intervals of the flush",
        "journal-backlog",
    ),
    "geo_cache_damaged": LogEvent(
        "error",
        ("path", "restored"),
        "the file of the embedded cache was damaged, was put aside as `path`, and a new one made",
        "cache-unusable",
    ),
    "geo_cache_entry_undecodable": LogEvent(
        "warning",
        ("key",),
        "a hot entry could not be read, and counts as none; once a minute in each process",
        "undecodable-entries",
    ),
    "geo_cache_flush_ran": LogEvent("debug", ("flushed",), "the job has flushed answers"),
    "geo_cache_flush_rejected": LogEvent(
        "warning",
        ("rejected",),
        "a flush has put answers aside",
        "rejected-entries",
    ),
    "geo_cache_flush_timed_out": LogEvent(
        "warning",
        ("flushed", "pending"),
        "a flush has reached its time limit; the next one goes on",
        "journal-backlog",
    ),
    "geo_cache_unavailable": LogEvent(
        "error",
        ("error",),
        "hot entries could not be read or written; once a minute in each process",
        "cache-unavailable",
    ),
    "geo_cache_written_through": LogEvent(
        "warning",
        ("error",),
        "new answers were written to the table, as the journal could not be used; once a minute "
        "in each process",
        "written-through",
    ),
    "geo_database_is_being_verified": LogEvent(
        "info", ("path",), "a large database file is read to its end before it is used"
    ),
    "geo_database_not_reopened": LogEvent(
        "error",
        ("error",),
        "a newer database file cannot be opened; the one before it answers; once in ten minutes in "
        "each process",
        "database-files",
    ),
    "geo_database_opened_without_copy": LogEvent(
        "warning",
        ("path", "error"),
        "there is no room for the copy of a database file, which was opened itself",
        "database-files",
    ),
    "geo_database_update_failed": LogEvent(
        "error", ("database", "error"), "a database was not fetched", "update-failed"
    ),
    "geo_database_updated": LogEvent(
        "info", ("database", "build"), "a newer database was installed"
    ),
    "geo_database_verified_for_this_process_only": LogEvent(
        "warning",
        ("path",),
        "the result of verifying a database file could not be saved",
        "database-files",
    ),
    "geo_database_went_back": LogEvent(
        "error",
        ("written", "restored", "lost"),
        "the database lacks answers that it had committed: a replica took over, or a backup was "
        "restored",
        "lost-records",
    ),
    "geo_database_written_over": LogEvent(
        "warning",
        ("path",),
        "a database file that is in use was written over; what it held before answers; once in ten "
        "minutes in each process",
        "database-files",
    ),
    "geo_edge_untrusted": LogEvent(
        "warning",
        ("address", "source"),
        "a near machine that is not in `TRUSTED_PROXIES` hands on headers of `EDGE_HEADERS`, which "
        "are not read; once an hour in each process",
        "visitor-address",
    ),
    "geo_fields_not_read": LogEvent(
        "warning",
        ("provider", "fields"),
        "some fields of a web service's answers have values of another kind; once an hour in each "
        "process",
        "provider-failed",
    ),
    "geo_flush_run_not_recorded": LogEvent(
        "warning",
        ("error",),
        "a flush has no row in the list of flushes",
        "not-recorded",
    ),
    "geo_history_unavailable": LogEvent(
        "error",
        ("error",),
        "objects were located without the history; once a minute in each process",
        "database-unavailable",
    ),
    "geo_import_failed": LogEvent(
        "error", ("list", "error"), "a list was not imported", "blocklist-failed"
    ),
    "geo_import_ran": LogEvent(
        "info", ("list", "added", "removed", "bad"), "a list with new content was imported"
    ),
    "geo_job_failed": LogEvent(
        "error", ("job", "error"), "a job has failed; its next run tries again", "job-failed"
    ),
    "geo_job_run_not_recorded": LogEvent(
        "warning",
        ("job", "error"),
        "the end of a run was not written to the table of runs",
        "not-recorded",
    ),
    "geo_job_scheduled": LogEvent(
        "info", ("job", "interval_seconds"), "`schedule_geo` has begun to run a job"
    ),
    "geo_job_switched_off": LogEvent(
        "info", ("job",), "`schedule_geo` has removed a job that the settings no longer want"
    ),
    "geo_journal_alias_shared": LogEvent(
        "warning",
        ("error",),
        "a flush has found that two caches have one alias, or one cache has two; it flushes all "
        "the same",
        "flush-failed",
    ),
    "geo_journal_counter_lost": LogEvent(
        "error",
        (),
        "the cache has lost the counters of the journal; the flush looks for what is left",
        "lost-records",
    ),
    "geo_journal_records_lost": LogEvent(
        "error",
        ("lost_records",),
        "a flush has found a gap in the journal; processes that hold its records journal them "
        "again",
        "lost-records",
    ),
    "geo_journal_repaired": LogEvent(
        "warning",
        ("count",),
        "this process journals `count` records again that the cache may have lost",
        "lost-records",
    ),
    "geo_licence_ran": LogEvent(
        "info",
        (
            "resolved",
            "pruned",
            "history_removed",
            "rejected_removed",
            "files_removed",
            "is_complete",
        ),
        "data that its licence does not allow to keep was resolved again or removed",
    ),
    "geo_location_unreadable": LogEvent(
        "warning",
        ("field", "error"),
        "a `LocationField` holds what is not a location; once a minute in each process",
        "objects-without-location",
    ),
    "geo_metrics_failed": LogEvent(
        "warning",
        ("error",),
        "a part of the metrics could not be read; once a minute in each process",
        "metrics-incomplete",
    ),
    "geo_moves_not_counted": LogEvent(
        "warning",
        ("error",),
        "a new database was installed, and could not be compared with the table",
        "update-failed",
    ),
    "geo_object_not_located": LogEvent(
        "error",
        ("error",),
        "objects of a `LocatedModel` were given no location; once a minute in each process",
        "objects-without-location",
    ),
    "geo_provider_failed": LogEvent(
        "error",
        ("provider", "error"),
        "look-ups were answered without the provider: by an old row, or with `unavailable`; once "
        "a minute in each process",
        "provider-failed",
    ),
    "geo_provider_skipped": LogEvent(
        "warning",
        ("provider", "error"),
        "a provider of a chain has failed, and is left alone for ten seconds; once a minute in "
        "each process",
        "provider-failed",
    ),
    "geo_proxy_untrusted": LogEvent(
        "warning",
        ("address",),
        "a near machine that is not in `TRUSTED_PROXIES` names a visitor, and is not believed: all "
        "visitors behind it are taken for one; once an hour in each process",
        "visitor-address",
    ),
    "geo_prune_ran": LogEvent(
        "info",
        ("pruned", "is_complete"),
        "rows without a look-up for `RETENTION_DAYS` were deleted",
    ),
    "geo_queries_uncounted": LogEvent(
        "error",
        ("provider", "error"),
        "the cache cannot count queries: a provider with a limit is not asked; once a minute in "
        "each process",
        "cache-unavailable",
    ),
    "geo_quota_low": LogEvent(
        "warning",
        ("provider", "asked", "limit", "remaining"),
        "four fifths of a day's queries are used (`asked`), by one process; or the service says "
        "that fewer than 100 are left (`remaining`), once an hour in each process",
        "quota-low",
    ),
    "geo_quota_spent": LogEvent(
        "error",
        ("provider", "limit"),
        "a provider is not asked, as its daily quota is used up; once a minute in each process",
        "quota-spent",
    ),
    "geo_rate_unavailable": LogEvent(
        "error",
        ("error",),
        "the cache cannot count look-ups of visitors: each process counts by itself; once a "
        "minute in each process",
        "cache-unavailable",
    ),
    "geo_refresh_ran": LogEvent("info", ("resolved", "failed"), "rows were resolved again"),
    "geo_replaced_file_not_removed": LogEvent(
        "error",
        ("path", "error"),
        "a replaced database file that its licence does not allow to keep cannot be removed",
        "licence-outdated",
    ),
    "geo_replaced_file_removed": LogEvent(
        "info", ("path",), "a replaced database file was removed, as its licence asks"
    ),
    "geo_rows_unavailable": LogEvent(
        "error",
        ("error",),
        "a look-up could not read the table; once a minute in each process",
        "database-unavailable",
    ),
    "geo_scheduler_clock_set_back": LogEvent(
        "warning",
        (),
        "the clock was set back by more than two seconds; the jobs are scheduled again",
        "clock-set-back",
    ),
    "geo_scheduler_database_away": LogEvent(
        "error",
        ("error",),
        "`schedule_geo` cannot reach the database; every five seconds while that lasts",
        "database-unavailable",
    ),
    "geo_scheduler_lease_not_released": LogEvent(
        "warning",
        ("error",),
        "`schedule_geo` has ended without giving its lease back; another process takes over after "
        "30 seconds",
        "database-unavailable",
    ),
    "geo_scheduler_standing_by": LogEvent(
        "info", ("holder",), "`schedule_geo` waits, as another process runs the jobs"
    ),
    "geo_scheduler_stopped": LogEvent("info", ("holder",), "`schedule_geo` has ended"),
    "geo_setting_changed": LogEvent(
        "info",
        ("setting", "by", "source"),
        "a setting was changed or reset in the admin; `source` is where its value now comes from",
    ),
    "geo_setting_ignored": LogEvent(
        "warning",
        ("setting", "error"),
        "a value that the admin has stored cannot be used, and the settings file counts; once in "
        "each process",
        "setting-ignored",
    ),
    "geo_setting_receiver_failed": LogEvent(
        "error",
        ("receiver", "error"),
        "code that follows changed settings has failed in a process; the setting still counts",
        "setting-ignored",
    ),
    "geo_settings_not_read": LogEvent(
        "warning",
        ("error",),
        "the table of changed settings cannot be read, and what counted before still counts; once "
        "in five minutes in each process",
        "database-unavailable",
    ),
    "geo_signal_receiver_failed": LogEvent(
        "error",
        ("signal", "receiver", "error"),
        "a receiver of a signal has raised an error; once a minute for each, in each process",
        "signal-receivers",
    ),
    "geo_signal_receivers_slow": LogEvent(
        "warning",
        ("signal", "seconds"),
        "the receivers of a signal took longer than a second; once a minute in each process",
        "signal-receivers",
    ),
    "geo_visitor_address_failed": LogEvent(
        "error",
        ("error",),
        "the callable of `VISITOR_ADDRESS` has failed; once an hour in each process",
        "visitor-address",
    ),
}

# A failed job whose trouble has a section of its own.
JOB_ANCHORS: Final = {
    "geo_cache_flush": "flush-failed",
    "geo_bans": "bans-failed",
    "geo_database_update": "update-failed",
    "geo_import": "blocklist-failed",
    "geo_licence": "licence-outdated",
}


def page_of(name: str, job: Any = None) -> str:
    """Return the page that says what to do about an event; empty if there is nothing to do."""
    event = EVENTS.get(name)
    if event is None or not event.anchor:
        return ""
    anchor = JOB_ANCHORS.get(job, event.anchor) if name == "geo_job_failed" else event.anchor
    return f"{TROUBLESHOOTING}#{anchor}"
