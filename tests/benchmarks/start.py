"""A command's start: what does geocache add to one of Django's own?"""

import os
import subprocess
import sys
import tempfile

from tests.benchmarks.addresses import supply
from tests.benchmarks.measure import Answer, Effort, in_turn, more, timed


def measure(effort: Effort) -> list[Answer]:
    with tempfile.TemporaryDirectory() as folder:
        figures = in_turn(
            {
                "lookup_geo ADDRESS": lambda: _run(
                    folder, ["lookup_geo", *supply.take(1)], BENCHMARK_APP="geocache"
                ),
                "diffsettings, without geocache": lambda: _run(folder, ["diffsettings"]),
            },
            effort.scaled(max(10, effort.rounds), 1),
        )
    own, peer = figures.values()
    bars = [more("more than Django's bare command", own, peer, 0.15)]
    return [Answer("A management command, from start to end", [own, peer], bars)]


def _run(folder: str, arguments: list[str], **environment: str) -> float:
    given = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.benchmarks.bare_settings",
        "BENCHMARK_FOLDER": folder,
        **environment,
    }
    command = [sys.executable, "-m", "django", *arguments]
    return timed(lambda: subprocess.run(command, env=given, check=True, capture_output=True))
