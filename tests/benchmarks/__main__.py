"""``python -m tests.benchmarks``: is it as fast as it should be, on the environment's services?

Writes to a database and to cache keys of its own, which are removed again.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.options import add_only
from tests.benchmarks.own_services import own_services

if TYPE_CHECKING:
    from tests.benchmarks.measure import Answer, Effort

STANDARD_OUTPUT = "-"
QUESTIONS = (
    "known_address",
    "hot_entry",
    "known_page",
    "asynchronous",
    "new_address",
    "peers",
    "flush",
    "middleware",
    "scrape",
    "start",
    "memory",
    "growth",
    "footprint",
    "log_file",
    "list_import",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows, to see that it runs")
    parser.add_argument("--rounds", type=int, default=5, help="of each way, in turn (5)")
    parser.add_argument("--rows", type=int, default=100_000, help="that are flushed (100000)")
    parser.add_argument(
        "--table-rows", type=int, default=1_000_000, help="of the table that has grown (1000000)"
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const=STANDARD_OUTPUT,
        metavar="FILE",
        help="write the results as JSON to this file, or instead of tables",
    )
    add_only(parser, QUESTIONS)
    options = parser.parse_args()
    with own_services():
        from tests.benchmarks import results
        from tests.benchmarks.measure import QUICK, Effort

        effort = QUICK
        if not options.quick:
            effort = Effort(options.rounds, options.rows, options.table_rows)
        is_shown = options.json != STANDARD_OUTPUT
        answers = measure(options.only, effort, is_shown=is_shown)
        if options.json:
            text = json.dumps(results.to_plain(effort, answers), indent=1) + "\n"
            if is_shown:
                Path(options.json).write_text(text)
            else:
                sys.stdout.write(text)


def measure(
    questions: Sequence[str], effort: "Effort", *, is_shown: bool
) -> dict[str, list["Answer"]]:
    """Answer the questions, and print each answer as soon as it is there."""
    from tests.benchmarks import machine

    if is_shown:
        machine.print_machine()
    answers: dict[str, list[Answer]] = {}
    for name in questions:
        for answer in import_module(f"tests.benchmarks.{name}").measure(effort):
            answers.setdefault(name, []).append(answer)
            if is_shown:
                print(f"\n{answer}", flush=True)
    return answers


if __name__ == "__main__":
    main()
