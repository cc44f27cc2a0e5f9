"""The entries of one list, read by a process of its own that is ended when it takes too much."""

import json
import math
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import IO, Final

from geocache.addresses.blocks import Entry
from geocache.blocklists.entry_file import read_entries
from geocache.blocklists.formats.base import Options
from geocache.blocklists.report import Report
from geocache.blocklists.spool import Spooled, temporary_file
from geocache.exceptions import ImportFailed
from geocache.python_program import module_command, module_environment

READER: Final = "geocache.blocklists.reader"
# How often is looked whether to stop, when the reader says nothing.
POLL_SECONDS: Final = 0.1
MAX_LINE_BYTES: Final = 2**16
STOPPED: Final = "stopped before it was done"

# Is told how many bytes more are done.
Watch = Callable[[int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a list may be read, by what setting, and what ends that before."""

    seconds: float = 300
    setting: str = ""
    is_stopped: Callable[[], bool] = lambda: False

    def out_of_time(self) -> str:
        """Say that it took too long."""
        setting = f" ({self.setting})" if self.setting else ""
        return f"reading it took longer than {self.seconds:g} seconds{setting}"


class Entries:
    """The distinct entries of one list in their order, in a private file."""

    def __init__(
        self,
        spooled: Spooled,
        options: Options | None = None,
        *,
        watch: Watch = lambda _: None,
        limits: Limits | None = None,
    ) -> None:
        """Read all of it; raise ``ImportFailed`` when nothing in it is an address."""
        with ExitStack() as stack:
            self._file = stack.enter_context(temporary_file(spooled.folder))
            options, limits = options or Options(), limits or Limits()
            with _reader(spooled, self._file, options, limits) as reader:
                self.report = reader.read(watch)
            self._files = stack.pop_all()

    def __iter__(self) -> Iterator[Entry]:
        return read_entries(self._file)

    def close(self) -> None:
        """Delete the file."""
        self._files.close()


class Reader:
    """The process that reads one list, and what it says meanwhile."""

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits) -> None:
        self._process = process
        self._limits = limits
        self._until = time.monotonic() + limits.seconds
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, name="geocache-reader", daemon=True)
        self._listener.start()

    def read(self, watch: Watch) -> Report:
        """Wait for its end; raise ``ImportFailed``."""
        position, said = 0, ""
        while line := self._next():
            message = _message(line)
            match message:
                case {"read": int(now)}:
                    watch(now - position)
                    position = now
                case {"error": str(reason)}:
                    raise ImportFailed(reason)
                case {"report": dict(report)}:
                    return Report(**report)
                case _:
                    # What Python itself says: of an error, the last line.
                    said = line.decode(errors="replace").strip() or said
        raise ImportFailed(self._why_it_ended(said))

    def end(self) -> None:
        """End the process, if it has not ended."""
        self._process.kill()
        self._process.wait()
        self._listener.join()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in iter(lambda: stream.readline(MAX_LINE_BYTES), b""):
                self._lines.put(line)
        self._lines.put(b"")

    def _next(self) -> bytes:
        """Return what it says next, nothing when it has ended."""
        while True:
            if self._limits.is_stopped():
                raise ImportFailed(STOPPED)
            remaining = self._until - time.monotonic()
            if remaining <= 0:
                raise ImportFailed(self._limits.out_of_time())
            try:
                return self._lines.get(timeout=min(POLL_SECONDS, remaining))
            except queue.Empty:
                continue

    def _why_it_ended(self, said: str) -> str:
        code = self._process.wait()
        if -code == getattr(signal, "SIGXCPU", None):
            return self._limits.out_of_time()
        if -code == getattr(signal, "SIGKILL", None):
            return "the process that reads lists was killed, as happens when memory is short"
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"the process that reads lists ended early: {said[:200] or ended}"


@contextmanager
def _reader(
    spooled: Spooled, target: IO[bytes], options: Options, limits: Limits
) -> Iterator[Reader]:
    request = {
        "options": asdict(options),
        "seconds": max(1, math.ceil(limits.seconds)),
        "folder": spooled.folder,
    }
    spooled.file.seek(0)
    try:
        process = subprocess.Popen(  # noqa: S603 - Python and a module of this package
            module_command(READER, json.dumps(request)),
            env=module_environment(TMPDIR=spooled.folder, SQLITE_TMPDIR=spooled.folder),
            stdin=spooled.file,
            stdout=target,
            stderr=subprocess.PIPE,
            # Ctrl-C is for this process, which then ends that one.
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", "") or error
        raise ImportFailed(f"the process that reads lists does not start: {reason}") from error
    reader = Reader(process, limits)
    try:
        yield reader
    finally:
        reader.end()


def _message(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None
