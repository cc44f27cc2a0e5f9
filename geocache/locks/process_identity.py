"""Who is at work on something: one process, and whether it still lives."""

import os
import socket
import threading
from pathlib import Path
from typing import Final

SEPARATOR: Final = " "
PROC: Final = Path("/proc")


def this_holder() -> str:
    """Return what names this thread of this process, and no other that ever was."""
    pid = os.getpid()
    started = _started(pid)
    return SEPARATOR.join([_machine(), str(pid), started or "?", str(threading.get_native_id())])


def is_gone(holder: str) -> bool:
    """Tell whether ``holder`` was a process of this machine that has ended.

    False where that cannot be told: then its lease has to run out.
    """
    parts = holder.split(SEPARATOR)
    if len(parts) != 4 or parts[0] != _machine() or parts[2] == "?":
        return False
    # Its number may belong to another process by now, which was started later.
    return _started(int(parts[1])) != parts[2]


def _machine() -> str:
    """Return what names this boot of this machine, and the container in it."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str:
    """Return when a process was started, in ticks since the boot; empty when there is none.

    Also where this cannot be read. A process that is dead but not waited for yet is none.
    """
    try:
        # Its name, in parentheses, may hold anything.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
