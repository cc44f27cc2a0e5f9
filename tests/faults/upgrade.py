"""``python -m tests.faults.upgrade``: upgrade a site under load, and roll back; is anything lost?

The previous release (real gunicorn, two workers, and the scheduler) answers visitors all the time.
This checkout migrates its database, is started beside it and takes over; then the previous release
takes over again, for as long as there is time. Each answer that a visitor was given has to be in
the table, once and the same, and each request has to be answered. The exit code is 1 otherwise.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import django

from tests.faults import pairs
from tests.support.processes import ROOT

STOPS = (signal.SIGINT, signal.SIGTERM)
# How long programs may outlive the time that was asked for.
GRACE_SECONDS = 300
SERVED = {
    "FLUSH_INTERVAL_SECONDS": 1,
    "PUBLIC_LOOKUP": True,
    # All visitors are of one address.
    "PUBLIC_LOOKUP_RATE": None,
    "PUBLIC_TOTAL_RATE": None,
    "PUBLIC_QUERY_RATE": None,
    # Nothing leaves this machine, and no answer is resolved twice.
    "UPDATE_DAYS": 0,
    "REFRESH_TIME_LIMIT_SECONDS": 0,
}


@dataclass(frozen=True)
class Report:
    """What a run has shown."""

    pair: str
    seed: int
    seconds: int
    steps: list[dict[str, Any]]
    # Not where this checkout writes records that the previous release cannot read.
    is_rolled_back: bool
    requests: dict[str, int]
    errors: list[str]
    unavailable: int
    slowest_seconds: float
    # Addresses that were answered again, and not the same.
    changed: list[str]
    # Of the models of the previous release on the tables of this checkout.
    model_problems: dict[str, str]
    kills: dict[str, int]
    notes: dict[str, int]
    verdict: dict[str, Any]

    def is_good(self) -> bool:
        """Tell whether nothing was lost, no request failed and the old models fit."""
        found = self.verdict
        names = ("lost", "outdated", "duplicated", "rejected", "pending", "left_over")
        bad = [*(found[name] for name in names), self.errors, self.changed, self.model_problems]
        return found["acknowledged"] > 0 and not any(bad) and not self.unavailable


def main() -> int:
    """Run one pair."""
    options = _parse()
    for number in STOPS:
        signal.signal(number, _stop)
    with pairs.scratch(pairs.PAIRS[options.pair]) as variables:
        variables |= {
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "GEOCACHE_SERVED": json.dumps(SERVED),
            "DEBUG": "false",
            "SECRET_KEY": "of a run of the upgrade",
            "ALLOWED_HOSTS": "*",
            "HTTPS": "false",
        }
        os.environ.update(variables)
        django.setup()
        from tests.faults.releases import NoHistory  # noqa: PLC0415 - Django has to be set up first

        try:
            report = run(options.pair, Path(variables["GEOCACHE_VAR_DIR"]), variables, options)
        except NoHistory as error:
            sys.exit(f"The previous release is not here: {error}")
        if options.log:
            shutil.copy(Path(variables["GEOCACHE_VAR_DIR"], "log"), options.log)
    print(json.dumps(asdict(report)) if options.json else _table(report), flush=True)
    return 0 if report.is_good() else 1


def run(pair: str, folder: Path, variables: dict[str, str], options: argparse.Namespace) -> Report:
    """Upgrade a site in the scratch folder, database and cache of the environment."""
    from tests.faults import outcome, releases  # noqa: PLC0415 - Django has to be set up first
    from tests.faults.harness import in_child  # noqa: PLC0415
    from tests.faults.rollout import Release, roll  # noqa: PLC0415

    random.seed(options.seed)
    began, seconds = time.monotonic(), int(options.minutes * 60)
    old = Release("the old release", releases.export_previous(folder))
    new = Release("the new release", options.new)
    with _a_rollout(folder, variables, options.seed, seconds + GRACE_SECONDS) as rollout:
        versions = {releases.record_version(rollout.programs, one.code) for one in (old, new)}
        can_go_back = len(versions) == 1 and not options.only_up
        problems = roll(
            rollout,
            old,
            new,
            until=began + seconds,
            can_go_back=can_go_back,
        )
        logs = [program.said() for program in rollout.programs.started]
    with (folder / "log").open("a") as file:
        file.writelines(logs)
    names = {str(one.code): one.name for one in (old, new)}
    visitors = rollout.visitors
    return Report(
        pair=pair,
        seed=options.seed,
        seconds=int(time.monotonic() - began),
        steps=[asdict(step) | {"requests": _named(step.requests, names)} for step in rollout.steps],
        is_rolled_back=can_go_back,
        requests=_named(visitors.requests, names),
        errors=visitors.errors[:20],
        unavailable=visitors.unavailable_count,
        slowest_seconds=round(visitors.slowest_seconds, 2),
        changed=[*visitors.changed, *in_child(folder, outcome.changed_answers, folder)],
        model_problems=problems,
        kills=dict(rollout.kills),
        notes=dict(outcome.notes(folder).most_common()),
        verdict=asdict(in_child(folder, outcome.judge, folder)),
    )


@contextmanager
def _a_rollout(folder: Path, variables: dict[str, str], seed: int, seconds: int) -> Iterator[Any]:
    from tests.faults.ledger import Ledger  # noqa: PLC0415 - Django has to be set up first
    from tests.faults.rollout import Rollout  # noqa: PLC0415
    from tests.faults.visitors import Visitors  # noqa: PLC0415
    from tests.support.programs import a_listener, programs  # noqa: PLC0415

    served = variables | {"DJANGO_SETTINGS_MODULE": "served_settings"}
    with a_listener() as listener, programs(folder, served, seconds=seconds) as running:
        visitors = Visitors(listener.getsockname()[1], Ledger(folder), seed)
        try:
            yield Rollout(folder, running, listener, visitors)
        finally:
            visitors.stop()


def _named(requests: dict[str, int], names: dict[str, str]) -> dict[str, int]:
    return {names[code]: count for code, count in requests.items()}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.upgrade",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pair", choices=[*pairs.PAIRS], default="embedded-sqlite")
    parser.add_argument("--minutes", type=float, default=1, help="0: one upgrade, one roll-back")
    parser.add_argument("--only-up", action="store_true", help="do not roll back")
    parser.add_argument("--new", type=Path, default=ROOT, help="the code to upgrade to")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the chances")
    parser.add_argument("--log", type=Path, help="a file to keep what the programs have logged")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    return parser.parse_args()


def _stop(*_: object) -> None:
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(130)


def _table(report: Report) -> str:
    found = report.verdict
    steps = [
        (
            f"  {step['name']}",
            f"{step['seconds']} s, {step['requests']}, {step['error_count']} errors",
        )
        for step in report.steps
    ]
    lines = [
        ("pair", report.pair),
        ("seconds", report.seconds),
        ("seed", report.seed),
        ("rolled back", report.is_rolled_back),
        *steps,
        ("requests", report.requests),
        ("requests that failed", len(report.errors)),
        *(("  for example", error) for error in report.errors[:3]),
        ("slowest request, seconds", report.slowest_seconds),
        ("unavailable", report.unavailable),
        ("answered again, and not the same", len(report.changed)),
        ("kills", report.kills),
        *((f"old model {name}", text) for name, text in report.model_problems.items()),
        *((name, value) for name, value in found.items()),
        *((f"logged: {note}", number) for note, number in report.notes.items()),
    ]
    return "".join(f"{name:<75} {value}\n" for name, value in lines)


if __name__ == "__main__":
    sys.exit(main())
