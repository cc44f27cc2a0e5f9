"""``python -m tests.benchmarks``: is it as fast as it should be, on the environment's services?

Writes to a database and to cache keys of its own, which are removed again.
"""

import argparse
import json
import os
import sys
import uuid
from importlib import import_module

QUESTIONS = (
    "known_address",
    "hot_entry",
    "known_page",
    "new_address",
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
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=QUESTIONS,
        default=QUESTIONS,
        metavar="NAME",
        help=f"of {', '.join(QUESTIONS)}",
    )
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ["CACHE_KEY_PREFIX"] = f"geocache-benchmark-{uuid.uuid4().hex[:8]}"
    os.environ.setdefault("LOG_LEVEL", "ERROR")

    import django

    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    from tests.benchmarks import keys, machine
    from tests.benchmarks.measure import Effort

    effort = (
        Effort(1, 1_000, 5_000, is_quick=True)
        if options.quick
        else Effort(options.rounds, options.rows, options.table_rows)
    )
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        answers = []
        if not options.json:
            machine.print_machine()
        for name in options.only:
            for answer in import_module(f"tests.benchmarks.{name}").measure(effort):
                answers.append(answer)
                if not options.json:
                    print(f"\n{answer}", flush=True)
        if options.json:
            json.dump(
                {**machine.describe(), "answers": [one.to_plain() for one in answers]}, sys.stdout
            )
            print()
    finally:
        keys.remove()
        teardown_databases(databases, verbosity=0)


if __name__ == "__main__":
    main()
