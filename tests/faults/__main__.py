"""``python -m tests.faults``: kill writers, flushers and the scheduler; is any answer lost?

Answers count as acknowledged once a look-up has returned and they are written to a ledger. At the
end the ledgers are compared with the table. Each run has a database, a folder and cache keys of
its own, which are removed again. The exit code is 1 when an answer is lost, is older than was
acknowledged, is there twice, or is left over in the cache, and when a process ends by itself.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import django

from tests.faults import pairs

# Ctrl-C is ignored by what a shell starts in the background, unless it is asked for.
STOPS = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    """Run one pair here, or each in a process of its own."""
    options = _parse()
    for number in STOPS:
        signal.signal(number, _stop)
    if options.pair == "all":
        return max(_run_apart(name) for name in pairs.PAIRS)
    with pairs.scratch(pairs.PAIRS[options.pair]) as variables:
        os.environ.update(variables)
        django.setup()
        from tests.faults.harness import run  # noqa: PLC0415 - Django has to be set up first

        report = run(
            options.pair,
            Path(variables["GEOCACHE_VAR_DIR"]),
            seconds=options.minutes * 60,
            seed=options.seed,
            is_broken=options.broken,
        )
        if options.log:
            shutil.copy(Path(variables["GEOCACHE_VAR_DIR"], "log"), options.log)
    plain = asdict(report)
    print(json.dumps(plain) if options.json else _table(plain), flush=True)
    return 0 if report.is_good() else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--pair", choices=[*pairs.PAIRS, "all"], default="embedded-sqlite", help="cache-database"
    )
    parser.add_argument("--minutes", type=float, default=1, help="how long; 0.1 is 6 seconds")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the chances")
    parser.add_argument("--log", type=Path, help="a file to keep what the processes have logged")
    parser.add_argument("--json", action="store_true", help="print one line of JSON a pair")
    # Only to prove that a loss is seen: flushers delete before they commit.
    parser.add_argument("--broken", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run_apart(name: str) -> int:
    # The last --pair counts.
    command = [sys.executable, "-m", "tests.faults", *sys.argv[1:], "--pair", name]
    with subprocess.Popen(command) as process:
        try:
            return process.wait()
        finally:
            process.terminate()


def _stop(*_: object) -> None:
    # Once: what a run has made is removed on the way out.
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(130)


def _table(plain: dict) -> str:
    found = plain["verdict"]
    lines = [
        ("pair", plain["pair"]),
        ("seconds", plain["seconds"]),
        ("seed", plain["seed"]),
        ("answers acknowledged", found["acknowledged"]),
        ("rows", found["rows"]),
        ("kills", plain["kill_count"]),
        *((f"  {name}", number) for name, number in plain["kills"].items()),
        ("stops", plain["stop_count"]),
        ("ended by themselves", plain["crash_count"]),
        ("lost", found["lost"]),
        ("outdated", found["outdated"]),
        ("duplicated", found["duplicated"]),
        ("rejected", found["rejected"]),
        ("pending", found["pending"]),
        ("left over in the cache", found["left_over"]),
        *(("  for example", address) for address in found["examples"]),
        *((f"logged: {note}", number) for note, number in plain["notes"].items()),
    ]
    return "".join(f"{name:<40} {value:>12}\n" for name, value in lines)


if __name__ == "__main__":
    sys.exit(main())
