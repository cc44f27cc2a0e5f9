import gzip

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile

from geocache.web.uploads import MAX_FILE_BYTES, read_text


def read(data: bytes) -> str:
    return read_text(SimpleUploadedFile("addresses.txt", data))


@pytest.mark.parametrize(
    "data",
    [
        "8.8.8.8 é".encode(),
        "8.8.8.8 é".encode("utf-8-sig"),
        "8.8.8.8 é".encode("utf-16"),
        gzip.compress("8.8.8.8 é".encode()),
        gzip.compress(b"8.8.8.8 ") + gzip.compress("é".encode()),
    ],
    ids=["utf-8", "utf-8-sig", "utf-16", "gzip", "gzip of two parts"],
)
def test_read_text__as_files_are_written(data):
    assert read(data) == "8.8.8.8 é"


def test_read_text__what_is_no_text_is_read_all_the_same():
    assert read(b"8.8.8.8 \xff") == "8.8.8.8 \ufffd"


def test_read_text__largest_file():
    assert len(read(b"x" * MAX_FILE_BYTES)) == MAX_FILE_BYTES
    assert len(read(gzip.compress(b"x" * MAX_FILE_BYTES))) == MAX_FILE_BYTES


@pytest.mark.parametrize(
    "data",
    [b"x" * (MAX_FILE_BYTES + 1), gzip.compress(b"x" * (MAX_FILE_BYTES + 1))],
    ids=["plain", "unpacked"],
)
def test_read_text__larger_file_is_refused_with_what_to_do(data):
    with pytest.raises(ValidationError, match="lookup_geo --file"):
        read(data)


def test_read_text__bomb_is_not_unpacked(monkeypatch):
    unpacked = []
    real = gzip.GzipFile.read
    monkeypatch.setattr(
        gzip.GzipFile, "read", lambda self, size: unpacked.append(size) or real(self, size)
    )
    with pytest.raises(ValidationError):
        read(gzip.compress(bytes(100 * 2**20), 1))
    assert unpacked == [MAX_FILE_BYTES + 1]


@pytest.mark.parametrize(
    "data",
    [b"\x1f\x8b", b"\x1f\x8bnonsense", gzip.compress(b"8.8.8.8" * 99)[:-9]],
    ids=["head", "nonsense", "cut off"],
)
def test_read_text__broken_gzip_is_said(data):
    with pytest.raises(ValidationError, match="cannot be unpacked"):
        read(data)
