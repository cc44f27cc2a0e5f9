"""The units of systemd that a page of the documents shows: a service and its timer."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.documents import examples

with_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")


def assert_valid(document: str, name: str, folder: Path) -> None:
    """Have systemd read the examples below the heading "systemd", as the units of ``name``."""
    blocks = examples(document, "systemd", "ini")
    units = [folder / f"{name}.{kind}" for kind in ("service", "timer")]
    for unit, block in zip(units, blocks, strict=True):
        # The paths and the user of the example are not of this machine.
        text = re.sub(r"^User=.*\n", "", block, flags=re.MULTILINE)
        text = re.sub(r"^(WorkingDirectory)=.*$", r"\1=/", text, flags=re.MULTILINE)
        unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if "geocache" in line]
    assert (done.returncode, said) == (0, [])
