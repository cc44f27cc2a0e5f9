import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from geocache.management.address_input import (
    MAX_LINE_BYTES,
    Line,
    from_arguments,
    from_file,
    opened,
    split,
)


def read(data: bytes) -> list[Line]:
    return list(from_file(split(io.BytesIO(data))))


def addresses(data: bytes) -> list[str]:
    return [line.address for line in read(data)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"81.2.69.142\n8.8.8.8\n", ["81.2.69.142", "8.8.8.8"]),
        (b"81.2.69.142", ["81.2.69.142"]),
        (b"  81.2.69.142\r\n", ["81.2.69.142"]),
        (b"\n \t\n# 1.1.1.1\n  # x\n81.2.69.142#home\n", ["81.2.69.142"]),
        (b'81.2.69.142 - - [1/Jan] "GET /caf\xe9"\n', ["81.2.69.142"]),
        (b"81.2.69.142,London\n8.8.8.8;x\n", ["81.2.69.142", "8.8.8.8"]),
        (b"\xef\xbb\xbf81.2.69.142\n", ["81.2.69.142"]),
        (b"::FFFF:81.2.69.142\nFE80::1%eth0\n", ["81.2.69.142", "fe80::1"]),
        (b"", []),
    ],
)
def test_from_file__takes_the_first_word(data: bytes, expected: list[str]) -> None:
    assert addresses(data) == expected


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\n\nfoo bar\n", "line 3: 'foo' is not an IP address"),
        (b"10.0.0.0/8\n", "line 1: '10.0.0.0/8' is not an IP address"),
        (b"81.2.69.142\x00\n", "line 1: '81.2.69.142\\x00' is not an IP address"),
        (b"\xff\xfe1\n", "line 1: not UTF-8 text"),
        ("\uff11.2.3.4\n".encode(), "line 1: '\uff11.2.3.4' is not an IP address"),
        (b"8.8.8.8\n\xef\xbb\xbf8.8.8.8\n", "line 2: '\\ufeff8.8.8.8' is not an IP address"),
    ],
)
def test_from_file__names_a_bad_line(data: bytes, problem: str) -> None:
    assert read(data)[-1] == Line(problem=problem)


def test_from_file__goes_on_behind_a_line_that_is_too_long() -> None:
    lines = read(b"8.8.8.8 " + b"x" * 10_000_000 + b"\n1.1.1.1\n")
    assert lines == [Line(problem="line 1: longer than 65,536 bytes"), Line(address="1.1.1.1")]


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_from_file__a_line_of_the_greatest_length_is_read(ending: bytes) -> None:
    line = b"8.8.8.8".ljust(MAX_LINE_BYTES - len(ending)) + ending
    assert addresses(line + b"" if not ending else line + b"1.1.1.1") == (
        ["8.8.8.8", "1.1.1.1"] if ending else ["8.8.8.8"]
    )


def test_split__never_gives_more_than_the_bound() -> None:
    raws = list(split(io.BytesIO(b"x" * 1_000_000 + b"\n" + b"y" * 1_000_000)))
    assert [len(raw) for raw in raws] == [MAX_LINE_BYTES + 1] * 2


def test_split__a_read_that_fails_is_one_line() -> None:
    class Broken(io.BytesIO):
        name = "disk"

        def readline(self, *_: Any) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(CommandError, match=r"^'disk' cannot be read: Input/output error$"):
        list(split(Broken()))


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
    assert list(from_arguments(["8.8.8.8", "1.2.3.4.5"])) == [
        Line(address="8.8.8.8"),
        Line(problem="'1.2.3.4.5' is not an IP address"),
    ]
