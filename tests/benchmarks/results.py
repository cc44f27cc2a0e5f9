"""The results as JSON. docs/benchmarks.md describes it; raise ``SCHEMA`` when a name changes."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import machine
from tests.benchmarks.measure import Answer, Effort

SCHEMA = 1
HERE = Path(__file__).parent


def to_plain(effort: Effort, answers: Mapping[str, Sequence[Answer]]) -> dict[str, Any]:
    """Return what was measured by each question, where, when and of which revision."""
    return {
        "schema": SCHEMA,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision(),
        "machine": machine.machine(),
        "versions": machine.versions(),
        "services": machine.services(),
        "effort": asdict(effort),
        "answers": [
            {"name": name} | answer.to_plain() for name, several in answers.items()
            for answer in several
        ],
    }  # fmt: skip


def revision() -> str | None:
    """Return the commit, with ``-dirty`` after changes; nothing outside of a clone."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        said = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.stdout.strip()
