"""The state as monitoring plug-ins say it: one line with figures, then one for each finding.

Source: the guidelines of the Monitoring Plugins project, which Nagios and Icinga follow.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from geocache import conf
from geocache.health.finding import Finding
from geocache.health.findings import overall
from geocache.health.storage import HALF
from geocache.journal.backlog import patience
from geocache.status import Status

EXIT_CODES: Final = {"ok": 0, "warning": 1, "critical": 2}
UNKNOWN_CODE: Final = 3
# Between a text and its figures.
BAR: Final = "|"


def lines(status: Status, findings: Sequence[Finding]) -> Iterator[str]:
    """Give the line that is shown everywhere, then one for each finding, the worst first."""
    level = overall(findings).upper()
    yield f"GEOCACHE {level} - {_plain(_summary(status, findings))}|{_figures(status)}"
    for one in findings:
        yield f"{one.level.upper()}: {_plain(one.text)} See {one.page}"


def unknown(error: str) -> str:
    """Return the line of a check that cannot tell how the site is."""
    return f"GEOCACHE UNKNOWN - {_plain(error)}"


def _summary(status: Status, findings: Sequence[Finding]) -> str:
    if findings:
        more = len(findings) - 1
        return findings[0].text + (f" (and {more} more)" if more else "")
    count = status.pending_count or 0
    waiting = "1 answer waits" if count == 1 else f"{count:,} answers wait"
    return f"{waiting} to be flushed, and nothing is wrong"


def _figures(status: Status) -> str:
    """Return name=value;warning;critical;minimum of what is known."""
    limit = conf.get("BACKLOG_LIMIT")
    late, longest = (one.total_seconds() for one in patience())
    age = status.oldest_pending_seconds
    if age is None and status.pending_count == 0:
        age = 0.0
    bounds = f"{round(HALF * limit)};{limit}" if limit else ";"
    usages = (one for one in status.usages if one.left_count is not None)
    figures = {
        "pending": (status.pending_count, "", bounds),
        "oldest": (None if age is None else round(age), "s", f"{late:g};{longest:g}"),
        "rejected": (status.rejected_count, "", "0;"),
        "lost": (status.lost_record_count, "", "0;"),
        "unrecorded": (status.unrecorded_count, "", "0;"),
        **{f"left_{_label(one.provider)}": (one.left_count, "", ";") for one in usages},
    }
    return " ".join(
        f"'{name}'={value}{unit};{limits};0"
        for name, (value, unit, limits) in figures.items()
        if value is not None
    )


def _label(name: str) -> str:
    return name.replace("'", "").replace("=", "")


def _plain(text: str) -> str:
    return text.replace(BAR, "/")
