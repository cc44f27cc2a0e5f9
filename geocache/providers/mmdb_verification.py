"""Let no file be opened here before a process of its own has walked through it.

That takes 25 seconds for 60 MB, once for each file: the result is remembered in ``VAR_DIR``. The
first look-up waits a while for it, and fails then; a command waits to the end.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from stat import S_ISREG
from typing import Final

from geocache import conf
from geocache.exceptions import GeocacheError, NotVerifiedYet, ProviderError
from geocache.locks.file_lock import exclusive_lock
from geocache.log import get_logger
from geocache.providers.verified_files import Stamp, VerifiedFiles
from geocache.python_program import module_command, module_environment

log = get_logger(__name__)

FILE_NAME: Final = "verified_databases.json"
# A page may wait so long for its first answer.
FIRST_WAIT_SECONDS: Final = 10.0
# Where an older file is open, which answers meanwhile.
NEWER_WAIT_SECONDS: Final = 1.0
# The processor time that one walk may take. The reader in Python takes ten times as long.
BASE_SECONDS: Final = 30
SECONDS_PER_MEGABYTE: Final = 10
# Of a file that takes some seconds the log says why.
LARGE_BYTES: Final = 10 * 2**20
# What took too long on a busy machine is tried again.
RETRY_SECONDS: Final = 3600.0
UNREADABLE: Final = "not a readable MaxMind DB file"
OUT_OF_TIME: Final = "not read to its end in time: it is endless, or this machine is busy"

_wait_seconds = ContextVar("wait_seconds", default=FIRST_WAIT_SECONDS)
_is_writing = ContextVar("is_writing", default=True)
verifications: dict[Stamp, "Verification"] = {}
_lock = threading.Lock()


@contextmanager
def writing_nothing() -> Iterator[None]:
    """Let no verification in this block be remembered on the disk, and no file be copied."""
    token = _is_writing.set(False)
    try:
        yield
    finally:
        _is_writing.reset(token)


def is_writing() -> bool:
    """Tell whether what opens a file may write."""
    return _is_writing.get()


@contextmanager
def waiting_for_verification(seconds: float = threading.TIMEOUT_MAX) -> Iterator[None]:
    """Let what opens files in this block wait so long: to the end, unless ``seconds`` are given."""
    token = _wait_seconds.set(seconds)
    try:
        yield
    finally:
        _wait_seconds.reset(token)


def require_verified(path: Path, stamp: Stamp, *, is_needed: bool = True) -> None:
    """Raise ``ProviderError`` unless the file at ``path`` can be read to its end.

    It is ``NotVerifiedYet`` while that is not known; without ``is_needed`` a second is waited for.
    """
    from geocache.providers.mmdb_walk import reader_name  # noqa: PLC0415 - maxminddb takes 45 ms

    found = verifications.get(stamp)
    files = VerifiedFiles(conf.var_dir() / FILE_NAME, reader_name())
    # What the site has verified, a run of its tests need not walk through again.
    of_site = VerifiedFiles(conf.site_var_dir() / FILE_NAME, reader_name())
    if not found and (files.has(stamp) or of_site.has(stamp)):
        return
    with _lock:
        found = verifications.get(stamp)
        if found is None or found.is_outdated():
            found = verifications[stamp] = Verification(path, files.path, is_kept=is_writing())
    wait_seconds = _wait_seconds.get()
    if not is_needed:
        wait_seconds = min(NEWER_WAIT_SECONDS, wait_seconds)
    # Counted from its beginning: of many threads none begins to wait when another has waited.
    remaining = found.began_at + wait_seconds - time.monotonic()
    if not found.done.wait(min(max(0.0, remaining), threading.TIMEOUT_MAX)):
        raise NotVerifiedYet(f"{path}: is being verified, as it is new here; try again in a minute")
    if found.problem:
        raise ProviderError(f"{path}: {found.problem}")
    if is_writing() and found.sha256:
        found.keep(stamp, files)


class Verification:
    """A process that walks through one file, and a thread that waits for it."""

    def __init__(self, path: Path, verified: Path, *, is_kept: bool = True) -> None:
        self.path = path
        self.verified = verified
        self.is_kept = is_kept
        # Of a file that was verified by a check, which writes nothing: to be kept later.
        self.sha256 = ""
        self.problem = "cannot be verified"
        self.began_at = time.monotonic()
        self.done = threading.Event()
        threading.Thread(target=self._run, name="geocache-verification", daemon=True).start()

    def is_outdated(self) -> bool:
        """Tell whether it failed so long ago that another attempt may succeed."""
        is_failed = self.done.is_set() and bool(self.problem)
        return is_failed and time.monotonic() - self.began_at > RETRY_SECONDS

    def keep(self, stamp: Stamp, files: VerifiedFiles) -> None:
        """Remember for all processes what was found when nothing could be written."""
        sha256, self.sha256 = self.sha256, ""
        busy = GeocacheError("another process verifies a file")
        try:
            with exclusive_lock(files.path.with_suffix(".lock"), busy=busy, wait_seconds=1.0):
                files.add(stamp, sha256)
        except (OSError, GeocacheError):
            log.warning("geo_database_verified_for_this_process_only", path=str(self.path))

    def _run(self) -> None:
        try:
            self.problem = self.find_problem()
        except OSError as error:
            self.problem = f"cannot be verified: {error.strerror or error}"
        finally:
            self.done.set()

    def find_problem(self) -> str:
        """Return what is wrong with the file, or the empty text."""
        import subprocess  # noqa: PLC0415 - most processes find all their files verified

        from geocache.providers.mmdb_walk import (  # noqa: PLC0415 - maxminddb takes 45 ms
            WRITES,
            WRITES_NOT,
        )

        status = self.path.stat()
        if not S_ISREG(status.st_mode):
            return UNREADABLE
        if status.st_size >= LARGE_BYTES:
            log.info("geo_database_is_being_verified", path=str(self.path))
        seconds = BASE_SECONDS + SECONDS_PER_MEGABYTE * status.st_size // 2**20
        writes = WRITES if self.is_kept else WRITES_NOT
        arguments = (str(self.path), str(self.verified), str(seconds), writes)
        try:
            ended = subprocess.run(  # noqa: S603 - Python and a module of this package
                module_command("geocache.providers.mmdb_walk", *arguments),
                env=module_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                # It may wait for another that is at it.
                timeout=2 * seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return OUT_OF_TIME
        return self._verdict(ended.returncode, ended.stdout.strip())

    def _verdict(self, code: int, output: str) -> str:
        import signal  # noqa: PLC0415 - as above

        from geocache.providers.mmdb_walk import NOT_KEPT  # noqa: PLC0415 - maxminddb takes 45 ms

        if code == NOT_KEPT:
            log.warning("geo_database_verified_for_this_process_only", path=str(self.path))
            return ""
        if code < 0:
            # The kernel ends by either what has used up its processor time.
            is_over = -code in (getattr(signal, "SIGXCPU", None), getattr(signal, "SIGKILL", None))
            return OUT_OF_TIME if is_over else f"damaged: its reader crashes (signal {-code})"
        if code:
            return output or f"cannot be verified (exit code {code})"
        if not self.is_kept:
            self.sha256 = output
        return ""


def _after_fork() -> None:
    """Forget what the parent's threads wait for; the child has none of them."""
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it
    _lock = threading.Lock()
    verifications.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
