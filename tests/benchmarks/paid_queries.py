"""``python -m tests.benchmarks.paid_queries``: what does a list of addresses cost?

The provider that is pretended to be paid is GeoLite2 City of 2019, with its real networks. The list
looks like the visitors of a site: most come in crowds, from few of many blocks (a Pareto
distribution), every fifth is a scanner from anywhere. Nothing is flushed meanwhile.
"""

import argparse
import os


def main() -> None:
    """Measure with one process and with eight."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="of addresses (100000)")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 8], help="at once (1 8)")
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ.setdefault("LOG_LEVEL", "ERROR")

    import django

    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    from tests.benchmarks import paid_costs

    databases = setup_databases(verbosity=0, interactive=False)
    try:
        for process_count in options.processes:
            paid_costs.measure(options.count, process_count)
    finally:
        teardown_databases(databases, verbosity=0)


if __name__ == "__main__":
    main()
