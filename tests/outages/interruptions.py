"""Stop each part of a site, and see what health, metrics and look-ups say."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.outages import watch
from tests.outages.site import Site
from tests.outages.watch import LIVE, LOOKUP, METRICS, READY, Watch
from tests.support import http_server

BACK_SECONDS: Final = 60
# For how long a short outage goes on where nothing tells of it yet: what was read a moment ago is
# told again, and on a busy machine the next reading takes seconds.
UNSAID_SECONDS: Final = 20
IN_A_ROW: Final = 8
# As long as a probe may take whatever hangs.
PROBE_LIMIT_MS: Final = 200


@dataclass(frozen=True)
class Outage:
    """How one part is stopped and started again, and for how long it has to be away at least."""

    name: str
    stop: Callable[[Site], object]
    start: Callable[[Site], object]
    least_seconds: float = 0
    # Whether the workers ask a service for answers.
    has_service: bool = False
    # What health says of it, in a reading or two.
    said: str = ""

    @property
    def first(self) -> int:
        """The first byte of the addresses: known networks are not asked of a service."""
        return 82 if self.has_service else 81


def _remove_file(site: Site) -> None:
    site.database_file.rename(site.database_file.with_suffix(".gone"))


def _put_file_back(site: Site) -> None:
    site.database_file.with_suffix(".gone").rename(site.database_file)


def _remove_file_and_restart(site: Site) -> None:
    _remove_file(site)
    site.start_web()


def _hang(site: Site) -> None:
    site.service.answer(http_server.Reply(is_silent=True))


def _answer(site: Site) -> None:
    site.service.answer(http_server.Reply(body={"country": "GB"}))


def _end_scheduler(site: Site) -> None:
    assert site.scheduler is not None
    site.scheduler.stop()


def _kill_scheduler(site: Site) -> None:
    assert site.scheduler is not None
    site.scheduler.kill()


def _stop_both(site: Site) -> None:
    site.redis.kill()
    site.postgres.stop()


def _start_both(site: Site) -> None:
    site.redis.start()
    site.postgres.start()


OUTAGES: Final = (
    Outage("Redis hangs", lambda site: site.redis.stall(), lambda site: site.redis.go_on()),
    Outage(
        "Redis killed",
        lambda site: site.redis.kill(),
        lambda site: site.redis.start(),
        said="cache critical",
    ),
    Outage(
        "PostgreSQL hangs", lambda site: site.postgres.stall(), lambda site: site.postgres.go_on()
    ),
    Outage(
        "PostgreSQL stopped",
        lambda site: site.postgres.stop(),
        lambda site: site.postgres.start(),
        said="database critical",
    ),
    Outage("Redis and PostgreSQL stopped", _stop_both, _start_both),
    # Processes look at the files every ten seconds.
    Outage("database file removed", _remove_file, _put_file_back, least_seconds=12),
    Outage(
        "database file removed, web restarted",
        _remove_file_and_restart,
        _put_file_back,
        least_seconds=12,
    ),
    Outage(
        "scheduler ended", _end_scheduler, lambda site: site.start_scheduler(), least_seconds=12
    ),
    # Until its lease has run out.
    Outage(
        "scheduler killed", _kill_scheduler, lambda site: site.start_scheduler(), least_seconds=40
    ),
    Outage("service hangs", _hang, _answer, has_service=True),
)
# What a short run tries, each for as long as is asked for.
SHORT: Final = ("Redis killed", "PostgreSQL stopped")


def paths_of(site: Site) -> list[str]:
    """Return what a site can be asked: the parts of a product that it has."""
    return [path for path in (LIVE, READY, METRICS) if watch.has(site.port, path)] + [LOOKUP]


def state_of(site: Site, paths: list[str], first: int) -> dict[str, Any]:
    """Return all that tells whether a site is well."""
    found: dict[str, Any] = {"look-up": watch.result_of(watch.look_up(site.port, first))}
    if READY in paths:
        reply = watch.ask(site.port, READY, watch.MONITORING)
        found |= {"status": reply.status, "bad": watch.bad_parts(reply)}
    if METRICS in paths:
        reply = watch.ask(site.port, METRICS, watch.MONITORING)
        ups = {name: value for name, value in watch.samples(reply).items() if "_up" in name}
        found["down"] = sorted(name for name, value in ups.items() if float(value) != 1)
    return found


def interrupt(
    site: Site, outage: Outage, paths: list[str], seconds: float, said: str = ""
) -> dict[str, Any]:
    """Stop one part for a while; return what was seen, as plain JSON.

    The outage goes on until health says ``said`` and the metrics tell of it, within bounds.
    """
    before, metrics = _usual_state(site, paths, outage.first), _metrics(site, paths)
    outage.stop(site)
    with Watch(site.port, paths, outage.first) as watching:
        time.sleep(seconds)
        changed = _changes(site, paths, metrics)
        latest = time.monotonic() + UNSAID_SECONDS
        while said and time.monotonic() < latest and not _is_said(watching, said, changed):
            time.sleep(watch.PAUSE_SECONDS)
            changed = _changes(site, paths, metrics)
    outage.start(site)
    back_seconds, now = _wait_until_as_before(site, paths, outage.first, before)
    return {
        "outage": outage.name,
        "seconds": seconds,
        "seen": {
            path: seen.figures() | {"results": dict(seen.results)}
            for path, seen in watching.seen.items()
        },
        "parts": dict(watching.bad.most_common()),
        "texts": watching.texts,
        "metrics": changed,
        "back_seconds": back_seconds,
        # Where it is not.
        "before": {} if back_seconds is not None else before,
        "now": {} if back_seconds is not None else now,
    }


def _usual_state(site: Site, paths: list[str], first: int) -> dict[str, Any]:
    """Return the state that is seen most: on a busy machine, a part is late now and then."""
    states = [state_of(site, paths, first) for _ in range(IN_A_ROW)]
    return max(states, key=states.count)


def _metrics(site: Site, paths: list[str]) -> dict[str, str]:
    if METRICS not in paths:
        return {}
    return watch.samples(watch.ask(site.port, METRICS, watch.MONITORING))


def _changes(site: Site, paths: list[str], before: dict[str, str]) -> dict[str, str]:
    return {
        name: f"{before.get(name, '-')} > {value}"
        for name, value in _metrics(site, paths).items()
        if before.get(name) != value
    }


def _is_said(watching: Watch, said: str, changes: dict[str, str]) -> bool:
    is_said = READY not in watching.seen or said in watching.bad
    return is_said and (METRICS not in watching.seen or any("_up" in name for name in changes))


def _wait_until_as_before(
    site: Site, paths: list[str], first: int, before: dict[str, Any]
) -> tuple[float | None, dict[str, Any]]:
    """Return the seconds until all is as it was, several times in a row: each worker may answer."""
    began = time.monotonic()
    in_a_row, since, now = 0, 0.0, before
    while time.monotonic() < began + BACK_SECONDS:
        now = state_of(site, paths, first)
        if now != before:
            in_a_row = 0
        elif not in_a_row:
            in_a_row, since = 1, time.monotonic() - began
        else:
            in_a_row += 1
        if in_a_row == IN_A_ROW:
            return round(since, 1), now
        time.sleep(0.2)
    return None, now


def is_good(found: dict[str, Any]) -> bool:
    """Tell whether no probe was too slow, and the site recovered."""
    times = [found["seen"][path]["max_ms"] for path in (LIVE, READY) if path in found["seen"]]
    return found["back_seconds"] is not None and all(one <= PROBE_LIMIT_MS for one in times)
