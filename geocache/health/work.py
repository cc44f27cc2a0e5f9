"""Judge what works for the answers: jobs, provider, quota, lists and bans, and what was lost."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from geocache.databases.advice import advice_for
from geocache.health.finding import Finding, critical, number, warning
from geocache.jobs import table
from geocache.log_events import JOB_ANCHORS
from geocache.models import JobRun
from geocache.provider_outages import Outage
from geocache.status import Status, is_old

FLUSH: Final = "geo_cache_flush"
IMPORT: Final = "geo_import"
BANS: Final = "geo_bans"
# Jobs that belong to a part of their own.
JOB_PARTS: Final = {
    FLUSH: "flush",
    IMPORT: "lists",
    BANS: "bans",
    "geo_database_update": "provider",
    "geo_licence": "licence",
}
# When one of these fails, answers or bans are at stake.
VITAL_JOBS: Final = (FLUSH, BANS)
# The job that applies bans runs each minute.
BANS_PATIENCE: Final = timedelta(minutes=10)
# Of the only provider: a service may be away for a moment.
LONG_OUTAGE: Final = timedelta(minutes=5)


def judge_jobs(status: Status, at: datetime) -> Iterator[Finding]:
    """Judge the last run of each job that the settings want."""
    for run in status.job_runs:
        state = run.state(at) if run.started_at is not None else ""
        if state not in ("failed", "killed") or not is_wanted(run.job):
            continue
        if run.job == FLUSH and status.last_flush is not None and status.last_flush.error:
            # The flush itself says more.
            continue
        if run.job == IMPORT and any(one.problem for one in status.lists):
            # So does each list.
            continue
        part, anchor = JOB_PARTS.get(run.job, "jobs"), JOB_ANCHORS.get(run.job, "job-failed")
        if state == "killed":
            said = _("The last run of the job %(job)s was killed. The next one begins again.")
            yield warning(part, anchor, said % {"job": run.job}, run.job)
            continue
        said = _("The last run of the job %(job)s failed: %(error)s")
        found = critical if run.job in VITAL_JOBS else warning
        yield found(part, anchor, said % {"job": run.job, "error": run.error}, run.job)


def judge_provider(status: Status, at: datetime) -> Iterator[Finding]:
    """Judge whether the provider can answer, and how old what it knows is."""
    if "provider" in status.errors and "provider" not in status.silent_parts:
        said = _("No new address can be resolved: %(error)s. Correct the provider's settings.")
        error = status.errors["provider"].rstrip(".")
        yield critical("provider", "provider-failed", said % {"error": error})
    for source in status.sources:
        names = {
            "name": source.name,
            "days": source.age_days(at),
            "advice": advice_for(source),
        }
        if source.is_fallback:
            said = _("Answers come from %(name)s, a sample that is %(days)s days old. %(advice)s")
            yield warning("provider", "no-database", said % names, source.name)
        elif is_old(source, at):
            said = _("%(name)s is %(days)s days old. Many addresses have moved since. %(advice)s")
            yield warning("provider", "database-old", said % names, source.name)
    for outage in status.outages:
        yield _outage(outage)
    for doubt in status.doubts:
        yield warning("provider", "provider-failed", doubt)


def is_wanted(job_id: str) -> bool:
    """Tell whether a job exists that the present settings want."""
    try:
        return table.find_job(job_id).is_enabled
    except ValueError:
        return False


def _outage(outage: Outage) -> Finding:
    """Judge a provider that answers nothing: no other one may answer in its place."""
    said = _(
        "%(name)s has answered no query since %(time)s (UTC). See whether it can be reached, and "
        "what the log says."
    )
    text = said % {"name": outage.provider, "time": f"{outage.since:%Y-%m-%d %H:%M}"}
    is_long = outage.last_failed_at - outage.since >= LONG_OUTAGE
    found = critical if outage.is_only and is_long else warning
    return found("provider", "provider-failed", text, outage.provider)


def judge_quota(status: Status, _at: datetime) -> Iterator[Finding]:
    """Judge what is left of the day's queries of providers that cost something."""
    for usage in status.usages:
        names = {"name": usage.provider, "count": number(usage.left_count or 0)}
        if usage.is_spent or usage.left_count == 0:
            said = _(
                "The daily quota of %(name)s is spent: until tomorrow (UTC) new addresses are "
                "not resolved by it. Raise the quota, or see who asks."
            )
            yield critical("quota", "quota-spent", said % names, usage.provider)
        elif usage.is_low:
            said = _(
                "The daily quota of %(name)s is nearly spent: %(count)s queries are left. Raise "
                "the quota, or see who asks."
            )
            yield warning("quota", "quota-low", said % names, usage.provider)


def judge_lists(status: Status, _at: datetime) -> Iterator[Finding]:
    """Judge whether blocklists are imported, and in time."""
    for one in status.lists:
        if one.problem:
            said = _("%(name)s: the last import failed: %(error)s")
            text = said % {"name": one.name, "error": one.problem}
            yield warning("lists", "blocklist-failed", text, one.name)
        elif one.is_overdue:
            said = _(
                "%(name)s: the next import of this list is overdue; it was last imported "
                "%(hours)s hours ago. See whether the jobs run."
            )
            hours = number((one.age_seconds or 0) / 3600)
            text = said % {"name": one.name, "hours": hours}
            yield warning("lists", "blocklist-overdue", text, one.name)


def judge_bans(status: Status, at: datetime) -> Iterator[Finding]:
    """Judge whether what is to be banned is banned."""
    if "bans" in status.errors and "bans" not in status.silent_parts:
        said = _("Bans cannot be read or applied: %(error)s")
        yield critical("bans", "bans-failed", said % {"error": status.errors["bans"]})
    bans = status.bans
    if bans is None:
        return
    if not bans.has_action:
        said = ngettext(
            "%(count)s ban is recorded, but no action is configured that could end it. Set "
            "BAN_ACTION as it was, and run manage.py ban_geo --end-all.",
            "%(count)s bans are recorded, but no action is configured that could end them. Set "
            "BAN_ACTION as it was, and run manage.py ban_geo --end-all.",
            bans.count,
        )
        yield warning("bans", "bans-failed", said % {"count": number(bans.count)})
    elif bans.is_due and not _has_banned_since(status.job_runs, at - BANS_PATIENCE):
        said = _(
            "Bans are due and are not applied or ended. See whether the jobs run, or run "
            "manage.py ban_geo."
        )
        yield critical("bans", "bans-failed", said)


def judge_losses(status: Status, _at: datetime) -> Iterator[Finding]:
    """Judge what was refused or lost; a warning, as it stays said for as long as it is known."""
    if count := status.rejected_count:
        said = ngettext(
            "The database has refused %(count)s answer. It is kept aside: see why, and try again.",
            "The database has refused %(count)s answers. They are kept aside: see why, and try "
            "again.",
            count,
        )
        yield warning("rejected", "rejected-entries", said % {"count": number(count)})
    if count := status.lost_record_count:
        said = ngettext(
            "The cache has lost %(count)s record before it was flushed. It holds one answer, or "
            "up to 200. Look at its memory limit and its eviction policy.",
            "The cache has lost %(count)s records before they were flushed. Each holds one "
            "answer, or up to 200. Look at its memory limit and its eviction policy.",
            count,
        )
        yield warning("lost", "lost-records", said % {"count": number(count)})
    if count := status.unrecorded_count:
        said = ngettext(
            "%(count)s answer was not recorded: cache and database were away at the same time.",
            "%(count)s answers were not recorded: cache and database were away at the same time.",
            count,
        )
        yield warning("lost", "unrecorded-answers", said % {"count": number(count)})


def _has_banned_since(runs: tuple[JobRun, ...], at: datetime) -> bool:
    return any(run.job == BANS and run.has_begun_since(at) for run in runs)
