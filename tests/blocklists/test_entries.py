import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geocache import python_program
from geocache.blocklists import entries as module
from geocache.blocklists.entries import Entries, Limits
from geocache.blocklists.formats.base import Options
from geocache.exceptions import ImportFailed
from tests.support.blocklists import kept


@pytest.fixture
def bad_reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Read lists with what goes wrong as they say."""
    monkeypatch.setattr(module, "READER", "tests.support.readers")
    before = set(threading.enumerate())
    yield
    # No thread waits for a process that was ended.
    assert set(threading.enumerate()) <= before


def failure(text: str | bytes, **options: Any) -> str:
    with kept(text) as content, pytest.raises(ImportFailed) as caught:
        Entries(content, **options)
    return str(caught.value)


def test_entries__are_read_by_another_process() -> None:
    read = list[int]()
    with kept("9.9.9.9\nnonsense\n9.9.9.0/24\n8.8.8.8\n8.8.8.8\n") as content:
        entries = Entries(content, watch=read.append)
        assert [one.text for one in entries] == ["8.8.8.8", "9.9.9.0/24", "9.9.9.9"]
        assert [one.text for one in entries] == ["8.8.8.8", "9.9.9.0/24", "9.9.9.9"]
        entries.close()
    report = entries.report
    assert (report.format_name, report.line_count, report.bad_count) == ("list", 5, 1)
    assert (report.entry_count, report.network_count) == (3, 1)
    assert report.bad_lines == ["line 2: 'nonsense' is not an address"]


def test_entries__options_reach_the_reader() -> None:
    assert "there is no format 'x'" in failure("9.9.9.9\n", options=Options(format_name="x"))


@pytest.mark.slow
def test_entries__progress_adds_up() -> None:
    read = list[int]()
    with kept("9.9.9.9\n" * 150_000) as content:
        Entries(content, watch=read.append).close()
    assert len(read) >= 1
    assert min(read) > 0
    assert sum(read) <= 1_200_000


def test_entries__nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    with kept("9.9.9.9\n", folder=str(tmp_path)) as content:
        entries = Entries(content)
        assert list(tmp_path.iterdir()) == []
        entries.close()


@pytest.mark.usefixtures("bad_reader")
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("fail", "the process that reads lists ended early: ValueError: odd"),
        ("leave", "the process that reads lists ended early: exit code 7"),
        ("crash", f"the process that reads lists ended early: signal {signal.SIGSEGV:d}"),
        ("be_killed", "the process that reads lists was killed, as happens when memory is short"),
        ("eat", "the process that reads lists ended early: MemoryError"),
    ],
)
def test_entries__reader_that_ends_is_one_line(what: str, said: str) -> None:
    assert failure(what) == said


@pytest.mark.slow
@pytest.mark.usefixtures("bad_reader")
@pytest.mark.parametrize("what", ["sleep", "work", "chatter"])
def test_entries__reader_that_takes_too_long_is_ended(what: str) -> None:
    began = time.monotonic()
    limits = Limits(seconds=1, setting="IMPORT_TIME_LIMIT_SECONDS")
    assert failure(what, limits=limits) == (
        "reading it took longer than 1 seconds (IMPORT_TIME_LIMIT_SECONDS)"
    )
    assert time.monotonic() - began < 10


@pytest.mark.usefixtures("bad_reader")
def test_entries__reader_is_ended_at_once_when_asked_to_stop() -> None:
    began = time.monotonic()
    limits = Limits(is_stopped=lambda: time.monotonic() > began + 0.5)
    assert failure("sleep", limits=limits) == "stopped before it was done"
    assert time.monotonic() - began < 5


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGXCPU"), reason="only POSIX limits processor time")
@pytest.mark.usefixtures("bad_reader")
def test_entries__reader_is_ended_by_the_kernel_as_well() -> None:
    # The process that waits would wait for longer.
    assert failure("work", limits=Limits(seconds=60)) == "reading it took longer than 60 seconds"


def test_entries__reader_that_cannot_be_started_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(python_program, "python_program", lambda: "/nowhere/python")
    assert failure("9.9.9.9\n") == (
        "the process that reads lists does not start: No such file or directory"
    )


def test_entries__disk_that_is_full_is_one_line() -> None:
    # Inherited by the reader: no file of it grows beyond that.
    import resource  # noqa: PLC0415 - only POSIX has it

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    lines = "".join(f"20.0.{n >> 8}.{n & 255}\n" for n in range(20_000))
    with kept(lines) as content:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        try:
            with pytest.raises(ImportFailed) as caught:
                Entries(content)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value).startswith(f"its entries cannot be kept in {content.folder}: ")
