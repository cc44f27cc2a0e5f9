"""The release before this checkout, taken out of the history of the repository."""

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.support.processes import ROOT
from tests.support.programs import Programs

# The tag of the release, or the commit where a clone has no tags.
PREVIOUS = ("v0.2.0", "c9876bd")
# What a site runs.
PARTS = ("geocache", "project", "templates", "manage.py")


class NoHistory(Exception):
    """The previous release is not in this clone."""


def export_previous(folder: Path) -> Path:
    """Unpack the previous release below ``folder``; raise ``NoHistory`` where there is none."""
    if not (git := shutil.which("git")):
        raise NoHistory("git is not installed")
    for name in PREVIOUS:
        done = subprocess.run(
            [git, "-C", ROOT, "archive", "--format=tar", name, *PARTS],
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            target = folder / "previous_release"
            with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
                archive.extractall(target, filter="data")
            return target
    raise NoHistory(f"no commit {' or '.join(PREVIOUS)} in this clone: fetch the whole history")


# A process says what it has imported.
WHAT = """
import json, geocache
from geocache.location import RECORD_VERSION
print(json.dumps([geocache.__file__, RECORD_VERSION]))
"""


def record_version(programs: Programs, code: Path) -> int:
    """Return the version of the records of ``code``, which has to be what its programs import.

    This checkout is installed in the environment of both.
    """
    imported, version = json.loads(programs.run(code, "-c", WHAT))
    assert Path(imported).is_relative_to(code.resolve()), f"{imported} is imported, not {code}"
    return int(version)
