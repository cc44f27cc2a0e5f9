"""``python -m tests.benchmarks``: the figures of the README, on the services of the environment.

Writes to a database and to cache keys of its own, which are removed again.
"""

import argparse
import os
import uuid


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows, to see that it runs")
    parser.add_argument("--rounds", type=int, default=3, help="of each way, in turn (3)")
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ["CACHE_KEY_PREFIX"] = f"geocache-benchmark-{uuid.uuid4().hex[:8]}"
    os.environ.setdefault("LOG_LEVEL", "ERROR")

    import django

    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    from tests.benchmarks import flush, known_address, known_page, measure, middleware

    databases = setup_databases(verbosity=0, interactive=False)
    try:
        measure.print_machine()
        rounds, rows = (1, 1_000) if options.quick else (options.rounds, 100_000)
        for question in (known_address, known_page, middleware, flush):
            measure.print_table(question.QUESTION, question.measure(rounds, rows))
    finally:
        teardown_databases(databases, verbosity=0)


if __name__ == "__main__":
    main()
