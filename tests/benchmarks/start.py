"""A command's start: what does geocache add to one of Django's own?"""

import os
import resource
import subprocess
import sys
import tempfile
from functools import partial

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
                "diffsettings, with geocache": lambda: _run(
                    folder, ["diffsettings"], BENCHMARK_APP="geocache"
                ),
            },
            effort.scaled(max(10, effort.rounds), 1),
        )
    own, peer, beside = figures.values()
    bars = [
        more("more than Django's bare command", own, peer, 0.12),
        more("more than one in the same project", own, beside, 0.12),
    ]
    question = "A management command from start to end, processor time"
    return [Answer(question, list(figures.values()), bars)]


def _run(folder: str, arguments: list[str], **environment: str) -> float:
    given = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.benchmarks.bare_settings",
        "BENCHMARK_FOLDER": folder,
        **environment,
    }
    command = [sys.executable, "-m", "django", *arguments]
    run = partial(subprocess.run, command, env=given, check=True, capture_output=True)
    return timed(run, _processor_seconds)


def _processor_seconds() -> float:
    """Return what the commands have taken of the processor: nearly all that a start waits for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
