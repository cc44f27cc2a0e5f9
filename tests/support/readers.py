"""What may go wrong with the process that reads a list, which says itself what it does."""

import ctypes
import os
import signal
import sys
import time

from geocache.blocklists.reader import limit_resources, say


def sleep() -> None:
    say(read=1)
    time.sleep(600)


def work() -> None:
    while True:
        pass


def crash() -> None:
    ctypes.string_at(0)


def fail() -> None:
    raise ValueError("odd")


def leave() -> None:
    os._exit(7)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def eat() -> None:
    kept = []
    while True:
        kept.append(bytes(2**24))


def chatter() -> None:
    while True:
        sys.stderr.write("x" * 2**10)


if __name__ == "__main__":
    limit_resources(1)
    globals()[sys.stdin.read().strip()]()
