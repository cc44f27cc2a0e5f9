import gzip
import io
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from geocache.management import file_reading
from geocache.management.address_chunk import Chunk
from geocache.management.address_input import from_arguments, from_file, opened


def read(data: bytes) -> Chunk:
    """Return all that is read, as one chunk."""
    whole = Chunk()
    for chunk in from_file(io.BytesIO(data)):
        whole.addresses += chunk.addresses
        whole.problems += chunk.problems
        whole.other_count += chunk.other_count
    return whole


def addresses(data: bytes) -> list[str]:
    return read(data).addresses


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"81.2.69.142\n8.8.8.8\n", ["81.2.69.142", "8.8.8.8"]),
        (b"81.2.69.142", ["81.2.69.142"]),
        (b"  81.2.69.142\r\n", ["81.2.69.142"]),
        (b"81.2.69.142\r8.8.8.8\r", ["81.2.69.142", "8.8.8.8"]),
        (b"\n \t\n# 1.1.1.1 x\n81.2.69.142#home\n", ["1.1.1.1", "81.2.69.142"]),
        (b'81.2.69.142 - - [1/Jan] "GET /caf\xe9"\n', ["81.2.69.142"]),
        (b"81.2.69.142,London\n8.8.8.8;x\n", ["81.2.69.142", "8.8.8.8"]),
        (b"9.9.9.9 208.67.222.222 1.0.0.1\n", ["9.9.9.9", "208.67.222.222", "1.0.0.1"]),
        (b"\xef\xbb\xbf81.2.69.142\n", ["81.2.69.142"]),
        ("81.2.69.142\r\n8.8.8.8\r\n".encode("utf-16"), ["81.2.69.142", "8.8.8.8"]),
        (gzip.compress(b"81.2.69.142\n8.8.8.8\n", mtime=0), ["81.2.69.142", "8.8.8.8"]),
        (b"::FFFF:81.2.69.142\nFE80::1%eth0\n", ["81.2.69.142", "fe80::1"]),
        (b'example.org:443 9.9.9.9 - - [02/Jan/2026:03:04:05 +0000] "GET /"\n', ["9.9.9.9"]),
        (b"Jan  2 03:04:05 h sshd[1]: Failed password from 9.9.9.9 port 22\n", ["9.9.9.9"]),
        (b'{"ip":"9.9.9.9"}\n9.9.9.9:443\n[2620:fe::fe]:80', ["9.9.9.9", "9.9.9.9", "2620:fe::fe"]),
        (b"81.2.69.142\x00\n", ["81.2.69.142"]),
        (b"", []),
    ],
)
def test_from_file__finds_all_addresses_in_their_order(data: bytes, expected: list[str]) -> None:
    assert addresses(data) == expected


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\n\nfoo\n", "line 3: 'foo' is not an IP address"),
        (b"foo # mine\n", "line 1: 'foo' is not an IP address"),
        (b"1.2.3.999 sshd banned\n", "line 1: '1.2.3.999 sshd banned' is not an IP address"),
        (
            b"2001:db8::g::1 sshd\n2001:db8::1::1 x",
            "line 2: '2001:db8::1::1 x' is not an IP address",
        ),
        (b"10.0.0.0/8\n", "line 1: '10.0.0.0/8' is a network; give one address of it"),
        (b"10.0.0.0/8 sshd\n", "line 1: '10.0.0.0/8' is a network; give one address of it"),
        ("\uff11.2.3.4\n".encode(), "line 1: '\uff11.2.3.4' is not an IP address"),
        (b"x" * 100_000, f"line 1: '{'x' * 40}\N{HORIZONTAL ELLIPSIS}' is not an IP address"),
    ],
)
def test_from_file__names_a_line_in_which_an_address_was_meant(data: bytes, problem: str) -> None:
    assert read(data).problems == [problem]


def test_from_file__lines_of_a_log_without_address_are_neither() -> None:
    assert read(b"# comment\n\nTraceback (most recent call last):\n03:04:05 a b\n") == Chunk(
        other_count=2
    )


def test_from_file__all_of_a_long_line_is_read() -> None:
    filler = b"x, " * 50_000
    assert addresses(b"8.8.8.8 " + filler + b"9.9.9.9 " + filler + b"\n1.1.1.1\n") == [
        "8.8.8.8",
        "9.9.9.9",
        "1.1.1.1",
    ]


class Broken(io.BytesIO):
    name = "disk"

    def read1(self, *_: Any) -> bytes:
        raise OSError(5, "Input/output error")


def test_from_file__a_read_that_fails_is_one_line() -> None:
    with pytest.raises(CommandError, match=r"^'disk' cannot be read: Input/output error$"):
        list(from_file(Broken()))


def test_from_file__what_is_cut_off_is_said_after_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"".join(b"20.0.0.%d\n" % n for n in range(200)))[:-12])
    read: list[str] = []
    with (
        path.open("rb") as file,
        pytest.raises(CommandError, match=r"log\.gz' cannot be read: it is"),
    ):
        read.extend(one for chunk in from_file(file) for one in chunk.addresses)
    assert read[0] == "20.0.0.0"


def test_from_file__gives_chunks_of_a_long_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_reading, "CHUNK_ADDRESSES", 10_000)
    data = b"".join(b"20.0.%d.%d\n" % (n >> 8 & 255, n & 255) for n in range(100_000))
    sizes = [len(chunk.addresses) for chunk in from_file(io.BytesIO(data))]
    assert sum(sizes) == 100_000
    # One of them ends with the part of the file in which it is full.
    assert 10_000 <= max(sizes) <= 17_000
    assert len(sizes) <= 14


def test_from_file__lines_without_use_are_given_in_chunks_too() -> None:
    chunks = list(from_file(io.BytesIO(b"foo\n" * 200_000)))
    assert sum(len(chunk.problems) for chunk in chunks) == 200_000
    assert max(len(chunk.problems) for chunk in chunks) <= 17_000


def test_from_file__what_a_pipe_has_is_given_before_more_is_waited_for() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as file, os.fdopen(write_end, "wb", buffering=0) as writer:
        found = from_file(file)
        for number in range(3):
            writer.write(b"9.9.9.%d said no\n8.8.8.8 is" % number)
            assert next(found).addresses == [f"9.9.9.{number}"]
            writer.write(b" cut\n")
            assert next(found).addresses == ["8.8.8.8"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none", "No such file or directory"), (".", "Is a directory"), ("a\0b", "null byte")],
)
def test_opened__what_cannot_be_opened_is_one_line(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(CommandError, match=reason), opened(f"{tmp_path}/{name}"):
        pass


def test_opened__leaves_errors_of_the_caller_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(OSError, match="mine"), opened(str(path)):
        raise OSError("mine")


def test_from_arguments__names_the_bad_one() -> None:
    assert from_arguments(["8.8.8.8", "1.2.3.4.5"]) == Chunk(
        addresses=["8.8.8.8"], problems=["'1.2.3.4.5' is not an IP address"]
    )
