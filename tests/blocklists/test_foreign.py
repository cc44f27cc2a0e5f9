import bz2
import gzip
import io
import tarfile
import zipfile

import pytest

from geocache.blocklists.foreign import markup_problem, page_problem
from geocache.exceptions import ImportFailed
from tests.support.blocklists import kept

TEXT = b"9.9.9.9\n"


def a_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("list.txt", TEXT)
    return file.getvalue()


def a_tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("list.txt")
        member.size = len(TEXT)
        archive.addfile(member, io.BytesIO(TEXT))
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (a_zip(), "it is a ZIP archive; unpack it, and hand in the text inside"),
        (
            gzip.compress(a_tar(), mtime=0),
            "it is a tar archive; unpack it, and hand in the text inside",
        ),
        (bz2.compress(gzip.compress(TEXT, mtime=0)), "it is packed twice; unpack it with gunzip"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "it is packed with zstd; unpack it with zstd -d"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "it is a 7z archive; unpack it, and hand in the text"),
        (b"%PDF-1.7\n9.9.9.9\n", "it is a PDF document; ask its publisher for a text file"),
    ],
)
def test_spooled__what_is_no_list_is_named(data: bytes, what: str) -> None:
    with pytest.raises(ImportFailed, match=what), kept(data):
        pass


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE html>\n<html><body>9.9.9.9",
        "\n \n<html lang=en>",
        "<!-- blocked -->\n<html>",
        "<head><title>403 Forbidden</title></head>",
    ],
)
def test_page_problem__names_a_page(text: str) -> None:
    assert page_problem(text).startswith("it is an HTML page")


@pytest.mark.parametrize("text", ["<?xml version='1.0'?>", "<rss version='2'>", "<list>\n"])
def test_markup_problem__names_a_document(text: str) -> None:
    assert markup_problem(text).startswith("it is an XML document")


@pytest.mark.parametrize(
    "text",
    ["", "9.9.9.9\n<html>", "<34>Jan 2 10:00:00 host fail2ban.actions: x", "< 9.9.9.9", "# <a>"],
)
def test_markup_problem__is_none_of_text(text: str) -> None:
    assert page_problem(text) == markup_problem(text) == ""
