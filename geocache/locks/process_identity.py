"""The identity of a process: its machine, boot, number and start, and whether it still runs."""

import os
import secrets
import socket
from pathlib import Path
from typing import Final

SEPARATOR: Final = " "
PROC: Final = Path("/proc")


def this_holder() -> str:
    """Return what names one holder in this process, and no other that ever was.

    Five words: host, boot and container, process, start of the process, a random one. The last one
    tells containers apart that look alike in all others, where ``/proc`` cannot be read.
    """
    pid = os.getpid()
    words = [socket.gethostname()[:64] or "?", boot(), str(pid), _started(pid) or "?"]
    return SEPARATOR.join([*words, secrets.token_hex(8)])


def is_gone(holder: str) -> bool:
    """Tell whether ``holder`` was a process of this machine that has ended.

    False where that cannot be told: then its lease has to run out.
    """
    words = holder.split(SEPARATOR)
    if len(words) != 5 or words[1] == "?" or words[1] != boot() or words[3] == "?":
        return False
    # Its number may belong to another process by now, which was started later.
    return _started(int(words[2])) != words[3]


def describe(holder: str) -> str:
    """Return a holder for people: ``web1, process 4711``."""
    words = holder.split(SEPARATOR)
    return f"{words[0]}, process {words[2]}" if len(words) == 5 else holder


def boot() -> str:
    """Return what names this boot of this machine and the container in it, or ``?``."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return "?"


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
