"""The lists of the settings, each imported when it is due."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from geocache import conf
from geocache.bans import apply as bans
from geocache.blocklists import sources
from geocache.blocklists.apply import import_content
from geocache.blocklists.import_options import options_of
from geocache.blocklists.names import name_problem
from geocache.blocklists.outcome import Outcome, Progress
from geocache.blocklists.sources import Origin
from geocache.exceptions import BanError, ImportBusy, ImportFailed
from geocache.instants import utc_now
from geocache.models import ImportSource
from geocache.standard_input import STANDARD_INPUT
from geocache.text import storable

# After a failure a list is tried again so soon, unless it is due sooner; and an import that ended
# without a word, as one does that is killed.
RETRY: Final = timedelta(hours=1)
RESUME: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one list: the outcome, or the problem."""

    name: str
    outcome: Outcome | None = None
    problem: str = ""
    # Another process imports it.
    is_busy: bool = False


def import_due(
    *,
    at: datetime | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    is_forced: bool = False,
) -> Iterator[Result]:
    """Import each list of the settings that is due, or all, one after the other."""
    for origin in sources.configured_origins():
        if is_stopped():
            return
        if problem := name_problem(origin.name):
            yield Result(origin.name, problem=problem)
            continue
        source, _ = ImportSource.objects.get_or_create(name=origin.name)
        if is_forced or _is_due(source, at or utc_now()):
            yield _result(origin, source, is_stopped)


def _is_due(source: ImportSource, at: datetime) -> bool:
    if source.attempted_at is None:
        return True
    pause = timedelta(hours=conf.get("IMPORT_HOURS"))
    if source.problem:
        pause = min(pause, RETRY)
    elif source.current_run_id is None:
        pause = min(pause, RESUME)
    # A clock that was set back must not close the door for years.
    return abs(at - source.attempted_at) >= pause


def _result(origin: Origin, source: ImportSource, is_stopped: Callable[[], bool]) -> Result:
    rows = ImportSource.objects.filter(pk=source.pk)
    # Before the service is asked: a process that is killed over and over does not ask each time.
    rows.update(attempted_at=utc_now(), problem="")
    try:
        _refuse_to_wait(origin)
        origin = replace(origin, options=options_of(origin.name))
        is_conditional = not bans.are_due()
        with sources.content_of(
            origin, is_conditional=is_conditional, is_stopped=is_stopped
        ) as content:
            outcome = import_content(origin, content, progress=Progress(is_stopped=is_stopped))
    except ImportBusy as error:
        return Result(origin.name, problem=str(error), is_busy=True)
    except (BanError, ImportFailed, OSError) as error:
        if is_stopped():
            # It goes on with the next start.
            rows.update(attempted_at=None)
            return Result(origin.name)
        rows.update(problem=storable(error)[:1000])
        return Result(origin.name, problem=str(error))
    return Result(origin.name, outcome)


def _refuse_to_wait(origin: Origin) -> None:
    """Raise ``ImportFailed`` where reading may wait for another process: it cannot be stopped."""
    path = Path(origin.place)
    if origin.place == STANDARD_INPUT or path.is_fifo() or path.is_char_device():
        raise ImportFailed(f"{origin.place!r} is not a file; the scheduler reads files and URLs")
