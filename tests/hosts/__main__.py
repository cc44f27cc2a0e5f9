"""Run the tests of hosts and print a table of the set-ups: ``python -m tests.hosts``."""

import sys
from collections import defaultdict

import pytest

COLUMNS = ("pages", "admin pages", "own tests", "result", "seconds")


class Table:
    """A row for each set-up, of what its tests report."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, object]] = defaultdict(lambda: {"result": "passed"})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test, _, set_up = report.nodeid.partition("::")[2].rstrip("]").partition("[")
        if not set_up or (report.when != "call" and report.passed):
            return
        row = self.rows[set_up]
        row.update(report.user_properties)
        if test.endswith("own_tests_pass"):
            row["own tests"] = report.outcome
        elif not report.passed:
            row["result"] = report.outcome

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        write = terminalreporter.write_line
        write(f"\n| set-up | {' | '.join(COLUMNS)} |")
        write("|---" * (len(COLUMNS) + 1) + "|")
        for set_up, row in sorted(self.rows.items()):
            write(f"| {set_up} | {' | '.join(str(row.get(name, '-')) for name in COLUMNS)} |")


if __name__ == "__main__":
    sys.exit(pytest.main(["tests/hosts", "-q", *sys.argv[1:]], plugins=[Table()]))
