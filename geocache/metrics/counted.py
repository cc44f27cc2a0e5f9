"""What all processes of the site have counted, as families of counters."""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product
from typing import Final, get_args

from geocache import counters, site_counters
from geocache.counters import Series
from geocache.jobs.report import DONE, NOTHING_DUE
from geocache.jobs.report import Status as JobStatus
from geocache.jobs.table import JOBS
from geocache.metrics import families
from geocache.metrics.families import Metric
from geocache.metrics.labels import Labels
from geocache.models import JobRun

Counted = Mapping[Series, int]

JOB_IDS: Final = tuple(job.id for job in JOBS)
# By the name of the family, what it tells.
SINGLE: Final[dict[str, tuple[Series, str]]] = {
    "flushed_rows": (counters.FLUSHED_ROWS, "Rows that flushes have written."),
    "rejected_answers": (counters.REJECTED, "Answers that the database has refused."),
    "records_lost": (counters.LOST, "Records that the cache has lost before a flush."),
    "spilled_answers": (counters.SPILLED, "Answers that neither cache nor database took at once."),
    "written_through_answers": (
        counters.WRITTEN_THROUGH,
        "New answers that went to the table at once, as the journal took none.",
    ),
}
# By the name of the series and of the family, what it tells.
TEXTS: Final = {
    counters.LOOKUPS: "Look-ups that the memory of a process did not answer, by what did.",
    counters.PROVIDER_QUERIES: "Addresses that a provider was asked about.",
    counters.PROVIDER_FAILURES: "Addresses of these that it did not answer.",
    counters.BREAKER_OPENINGS: "How often a circuit breaker opened after a slow failure.",
    counters.FLUSHES: "Flushes, by how they ended.",
    counters.JOB_RUNS: "Runs of jobs, by how they ended.",
}


def read() -> Counted:
    """Send what this process has counted, and return what all have; raise ``CacheUnavailable``."""
    site_counters.send()
    labels = Labels.of_settings()
    of_labels = (series for name in TEXTS for series in _series(name, labels))
    of_providers = (one for label in labels.providers for one in _of_calls(label))
    open_until = ((counters.BREAKER_OPEN_UNTIL, one) for one in labels.breakers)
    of_jobs = product((counters.JOB_MICROSECONDS, counters.JOB_SUCCESS), JOB_IDS)
    single = (series for series, _ in SINGLE.values())
    flush = (counters.FLUSH_MICROSECONDS,)
    wanted = chain(of_labels, of_providers, open_until, of_jobs, single, flush)
    return site_counters.read(wanted)


def of_each(known: Counted | None) -> list[Metric]:
    """Return the families; a series of which nothing was counted is 0.

    None: to tell their names. That makes no provider, which may take its time.
    """
    labels, counted = (Labels((), ()), {}) if known is None else (Labels.of_settings(), known)
    flush_seconds = counted.get(counters.FLUSH_MICROSECONDS, 0) / 1e6
    return [
        *(_family(counted, name, labels) for name in TEXTS),
        _calls(counted, labels),
        _open_breakers(counted, labels),
        families.counter("flush_seconds", "How long all flushes took.", flush_seconds),
        *(
            families.counter(name, text, counted.get(series, 0))
            for name, (series, text) in SINGLE.items()
        ),
        _job_seconds(counted),
    ]


def last_successes(counted: Counted, runs: Sequence[JobRun]) -> Metric:
    """Return when each job was last done: as its last run says, or one before has told."""
    known: dict[str, float] = {
        job: counted[counters.JOB_SUCCESS, job]
        for job in JOB_IDS
        if (counters.JOB_SUCCESS, job) in counted
    }
    for run in runs:
        if run.finished_at is not None and run.status in (DONE, NOTHING_DUE):
            known[run.job] = run.finished_at.timestamp()
    text = "When the last run ended that was done."
    return families.gauges("job_last_success_timestamp_seconds", text, "job_id", known.items())


def _values(name: str, labels: Labels) -> dict[str, Sequence[str]]:
    """Return what labels a family has, and which values each can have."""
    known: dict[str, dict[str, Sequence[str]]] = {
        counters.LOOKUPS: {"tier": counters.TIERS},
        counters.PROVIDER_QUERIES: {"provider": labels.providers},
        counters.PROVIDER_FAILURES: {"provider": labels.providers},
        counters.BREAKER_OPENINGS: {"breaker": labels.breakers},
        counters.FLUSHES: {"result": counters.FLUSH_RESULTS},
        counters.JOB_RUNS: {"job_id": JOB_IDS, "status": get_args(JobStatus)},
    }
    return known[name]


def _series(name: str, labels: Labels) -> Iterator[Series]:
    return ((name, *one) for one in product(*_values(name, labels).values()))


def _family(counted: Counted, name: str, labels: Labels) -> Metric:
    values = {series[1:]: counted.get(series, 0) for series in _series(name, labels)}
    return families.counters(name, TEXTS[name], [*_values(name, labels)], values)


def _of_calls(label: str) -> list[Series]:
    """Return the series of one histogram, the buckets first."""
    calls = (counters.PROVIDER_CALLS, label)
    positions = map(str, range(len(counters.BUCKETS) + 1))
    return [*((*calls, counters.BUCKET, one) for one in positions), (*calls, counters.MICROSECONDS)]


def _calls(counted: Counted, labels: Labels) -> Metric:
    text = "How long a provider took to answer, for one address or for a batch."
    values = {}
    for label in labels.providers:
        *numbers, microseconds = (counted.get(one, 0) for one in _of_calls(label))
        values[label] = numbers, microseconds / 1e6
    name = "provider_call_duration_seconds"
    return families.histogram(name, text, "provider", counters.BUCKETS, values)


def _open_breakers(counted: Counted, labels: Labels) -> Metric:
    own, now = counters.marks(), time.time()

    def is_open(breaker: str) -> bool:
        series = (counters.BREAKER_OPEN_UNTIL, breaker)
        # That of the cache cannot be told to others: it is open in this process.
        return max(counted.get(series, 0), own.get(series, 0)) > now

    text = "Whether the circuit breaker of a process is open."
    values = ((one, is_open(one)) for one in labels.breakers)
    return families.gauges("circuit_breaker_open", text, "breaker", values)


def _job_seconds(counted: Counted) -> Metric:
    seconds: dict[Series, float] = {
        (job,): counted.get((counters.JOB_MICROSECONDS, job), 0) / 1e6 for job in JOB_IDS
    }
    return families.counters("job_seconds", "How long all runs of a job took.", ["job_id"], seconds)
