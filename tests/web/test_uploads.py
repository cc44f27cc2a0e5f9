import bz2
import gzip
import io
import lzma

import pytest
from asgiref.sync import async_to_sync
from django.conf import global_settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.http import HttpResponse
from django.test import Client

from geocache.decoding.compression import CHUNK_BYTES, GzipUnpacker
from geocache.web.uploads import MAX_FILE_BYTES, BoundedUploadHandler, read_text
from project.body_limit import limit_body, read_rest


def read(data: bytes) -> str:
    return read_text(SimpleUploadedFile("addresses.txt", data))


@pytest.mark.parametrize(
    "data",
    [
        "8.8.8.8 é".encode(),
        "8.8.8.8 é".encode("utf-8-sig"),
        "8.8.8.8 é".encode("utf-16"),
        gzip.compress("8.8.8.8 é".encode(), mtime=0),
        gzip.compress(b"8.8.8.8 ", mtime=0) + gzip.compress("é".encode(), mtime=0),
        "8.8.8.8 é".encode("utf-16-le"),
        bz2.compress("8.8.8.8 é".encode("utf-16-be")),
        lzma.compress("8.8.8.8 é".encode()),
    ],
    ids=["utf-8", "sig", "utf-16", "gzip", "gzip of two parts", "utf-16-le", "bzip2", "xz"],
)
def test_read_text__as_files_are_written(data):
    assert read(data) == "8.8.8.8 é"


def test_read_text__what_is_no_text_is_read_all_the_same():
    assert read(b"8.8.8.8 \xff") == "8.8.8.8 \ufffd"


def test_read_text__largest_file():
    assert len(read(b"x" * MAX_FILE_BYTES)) == MAX_FILE_BYTES
    assert len(read(gzip.compress(b"x" * MAX_FILE_BYTES, mtime=0))) == MAX_FILE_BYTES


@pytest.mark.parametrize(
    "data",
    [b"x" * (MAX_FILE_BYTES + 1), gzip.compress(b"x" * (MAX_FILE_BYTES + 1), mtime=0)],
    ids=["plain", "unpacked"],
)
def test_read_text__larger_file_is_refused_with_what_to_do(data):
    with pytest.raises(ValidationError, match="lookup_geo --file"):
        read(data)


def test_read_text__bomb_is_not_unpacked(monkeypatch):
    sizes = []
    real = GzipUnpacker.decompress

    def unpack(self, data, max_length):
        part = real(self, data, max_length)
        sizes.append(len(part))
        return part

    monkeypatch.setattr(GzipUnpacker, "decompress", unpack)
    with pytest.raises(ValidationError):
        read(gzip.compress(bytes(100 * 2**20), 1, mtime=0))
    assert MAX_FILE_BYTES < sum(sizes) <= MAX_FILE_BYTES + CHUNK_BYTES


@pytest.mark.parametrize(
    "data",
    [b"\x1f\x8b", b"\x1f\x8bnonsense", gzip.compress(b"8.8.8.8" * 99, mtime=0)[:-9]],
    ids=["head", "nonsense", "cut off"],
)
def test_read_text__broken_gzip_is_said(data):
    with pytest.raises(ValidationError, match="cannot be unpacked"):
        read(data)


# --- before it is stored -------------------------------------------------------------------------


class Endless:
    """A body that counts what is read of it."""

    def __init__(self) -> None:
        self.read_bytes = 0

    def read(self, size: int = 2**16) -> bytes:
        self.read_bytes += size
        return b"x" * size

    readline = read


PAGES = [
    "/",
    "/login/",
    "/admin/login/",
    "/lookup/",
    "/addresses/",
    "/lists/1/import/",
    "/api/lookup",
    "/api/x",
]


def post_large(client: Client, url: str) -> tuple[HttpResponse, Endless]:
    """Send a form of 1.5 GB, with the cookie of CSRF and without its token."""
    client.cookies["csrftoken"] = "x" * 32
    body = Endless()
    response = client.generic(
        "POST",
        url,
        CONTENT_TYPE="multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(3 * 2**29),
        **{"wsgi.input": body},
    )
    return response, body


@pytest.fixture
def temporary_files(monkeypatch):
    made: list[object] = []
    monkeypatch.setattr(
        TemporaryUploadedFile, "__init__", lambda *given: made.append(given) or 1 / 0
    )
    return made


@pytest.mark.django_db
@pytest.mark.parametrize("url", PAGES)
def test_large_form__is_refused_before_it_is_read(url, temporary_files):
    response, body = post_large(Client(enforce_csrf_checks=True), url)
    assert response.status_code in (400, 404, 413)
    assert body.read_bytes == 0
    assert temporary_files == []


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["/lookup/", "/addresses/", "/lists/1/import/", "/api/lookup"])
def test_large_form__is_refused_in_a_project_with_handlers_of_its_own(
    url, settings, temporary_files
):
    settings.FILE_UPLOAD_HANDLERS = global_settings.FILE_UPLOAD_HANDLERS
    response, body = post_large(Client(enforce_csrf_checks=True), url)
    assert response.status_code in (400, 413)
    assert (body.read_bytes, temporary_files) == (0, [])


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["/lookup/", "/addresses/", "/lists/1/import/"])
def test_bounded_uploads__csrf_is_checked_all_the_same(url):
    browser = Client(enforce_csrf_checks=True)
    file = SimpleUploadedFile("a.log", b"x" * 100)
    assert browser.post(url, {"file": file}).status_code == 403


def test_upload_handler__keeps_no_more_than_a_page_reads():
    handler = BoundedUploadHandler()
    handler.new_file("file", "a.log", "text/plain", None)
    for n in range(10):
        handler.receive_data_chunk(b"x" * MAX_FILE_BYTES, n * MAX_FILE_BYTES)
    file = handler.file_complete(10 * MAX_FILE_BYTES)
    assert (len(file.read()), file.size) == (MAX_FILE_BYTES + 1, 10 * MAX_FILE_BYTES)


def test_limit_body__client_that_sends_too_much_has_gone():
    seen = []

    async def application(_scope, receive, _send):
        seen.extend([await receive() for _ in range(3)])

    async def receive():
        return {"type": "http.request", "body": b"x" * 10, "more_body": True}

    async_to_sync(limit_body(application, 20))({"type": "http"}, receive, None)
    assert [message["type"] for message in seen] == ["http.request"] * 2 + ["http.disconnect"]


@pytest.mark.parametrize("size", [0, 10, 200_000, 2_000_000])
def test_read_rest__answer_comes_when_the_body_is_read(size):
    body = io.BytesIO(b"x" * size)
    application = read_rest(lambda *_: [b"refused"], max_bytes=1_000_000)

    assert application({"wsgi.input": body}, None) == [b"refused"]
    # What is allowed is read, and little of what is not.
    assert min(size, 1_000_000) <= body.tell() <= 1_000_000 + 2**16


def test_read_rest__client_that_has_gone():
    class Gone(io.BytesIO):
        def read(self, *_):
            raise ConnectionResetError

    application = read_rest(lambda *_: [b"refused"])
    assert application({"wsgi.input": Gone()}, None) == [b"refused"]
