"""``python -m tests.benchmarks.paid_queries``: what does a list of addresses cost?

The provider that is pretended to be paid is GeoLite2 City of 2019, with its real networks. The list
looks like the visitors of a site: most come in crowds, from few of many blocks (a Pareto
distribution), every fifth is a scanner from anywhere. Nothing is flushed meanwhile.
"""

import argparse

from tests.benchmarks.own_services import own_services


def main() -> None:
    """Measure with one process and with eight."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="of addresses (100000)")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 8], help="at once (1 8)")
    options = parser.parse_args()
    with own_services():
        from tests.benchmarks import paid_costs

        for process_count in options.processes:
            paid_costs.measure(options.count, process_count)


if __name__ == "__main__":
    main()
