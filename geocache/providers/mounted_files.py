"""A file that is mounted by itself (``docker run -v file:file``) hides what replaces it outside.

The mount stays with the file that was there when it was made, whatever its name means outside.
"""

import re
from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mountinfo")
# How the kernel ends the name of a mounted file that was deleted, or replaced, in its own folder.
DELETED: Final = "//deleted"
OCTAL: Final = re.compile(r"\\([0-7]{3})")


def is_replaced_outside(path: Path) -> bool:
    """Tell whether ``path`` is a mount of a file that has lost its name since (Linux only)."""
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
        status = path.stat()
        mounted = str(path.resolve())
    except OSError:
        return False
    # Of several mounts at one place the last is seen.
    roots = [root for root, place in map(_root_and_place, lines) if place == mounted]
    return bool(roots) and (roots[-1].endswith(DELETED) or status.st_nlink == 0)


def _root_and_place(line: str) -> tuple[str, str]:
    # The format: man 5 proc_pid_mountinfo.
    fields = [OCTAL.sub(lambda found: chr(int(found[1], 8)), one) for one in line.split(" ")[:5]]
    return (fields[3], fields[4]) if len(fields) == 5 else ("", "")
