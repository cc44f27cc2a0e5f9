"""``python -m tests.benchmarks.compare``: is a ratio worse than the one that is stored?

A ratio that is worse by more than its spread is measured up to twice more, and fails if it is
worse all three times. With ``--store`` ratios are measured again and stored, for these services.
"""

import argparse
import sys
from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.options import add_only
from tests.benchmarks.own_services import own_services

if TYPE_CHECKING:
    from tests.benchmarks.measure import Bar

PATH = Path(__file__).with_name("ratios.json")
# What has ratios that mean the same on another machine, and that few rows and seconds show.
QUESTIONS = (
    "known_address",
    "hot_entry",
    "known_page",
    "new_address",
    "flush",
    "middleware",
    "start",
)
RUNS = 10


def main() -> None:
    """Compare and say what is worse, or measure and store."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compare", description=__doc__)
    parser.add_argument("--store", action="store_true", help="store new ratios and their spreads")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"for --store ({RUNS})")
    parser.add_argument("--file", type=Path, default=PATH, help="of the ratios (ratios.json)")
    add_only(parser, QUESTIONS)
    options = parser.parse_args()
    with own_services():
        from tests.benchmarks import machine, ratios

        machine.print_machine()
        pair = machine.pair()
        if options.store:
            runs = [measure(options.only) for _ in range(options.runs)]
            stored = ratios.summarise(runs)
            # Those of other questions stay, but none that is no longer measured.
            others = [name for name in QUESTIONS if name not in options.only]
            kept = ratios.of_questions(others, ratios.read(options.file, pair))
            ratios.write(options.file, pair, kept | stored)
            for name, ratio in stored.items():
                print(f"  {name}: {ratio}")
            return
        stored = ratios.of_questions(options.only, ratios.read(options.file, pair))
        if not stored:
            sys.exit(f"no ratios are stored for {pair}; store them: {ratios.STORE}")
        findings = ratios.compare(stored, options.only, measure)
    for finding in findings:
        print(f"  {finding}")
    failed = sum(finding.has_failed for finding in findings)
    if failed:
        sys.exit(f"{failed} of {len(findings)} ratios on {pair} do not hold")


def measure(questions: Collection[str]) -> dict[str, "Bar"]:
    """Return the ratios of the questions by name: ``question: what is asked for``."""
    from tests.benchmarks.measure import SHORT

    found: dict[str, Bar] = {}
    for question in questions:
        for answer in import_module(f"tests.benchmarks.{question}").measure(SHORT):
            for bar in answer.bars:
                name = f"{question}: {bar.asked}"
                assert name not in found, f"two ratios are named {name!r}"
                if bar.unit == "x":
                    found[name] = bar
    return found


if __name__ == "__main__":
    main()
