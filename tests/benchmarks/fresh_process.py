"""What a process takes of the processor from start to end: nearly all that a start waits for."""

import os
import resource
import subprocess
import sys
from functools import partial

from tests.benchmarks.measure import timed


def processor_seconds(folder: str, *arguments: str, **environment: str) -> float:
    """Run Python in a project with ``bare_settings`` and its files in ``folder``."""
    given = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.benchmarks.bare_settings",
        "BENCHMARK_FOLDER": folder,
        # Installed code is compiled once, not by each process.
        "PYTHONDONTWRITEBYTECODE": "",
        **environment,
    }
    command = [sys.executable, *arguments]
    run = partial(subprocess.run, command, env=given, check=True, capture_output=True)
    return timed(run, _of_children)


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
