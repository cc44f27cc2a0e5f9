import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from geocache.downloads import client
from geocache.downloads.client import Client
from geocache.downloads.connections import BoundedAdapter
from geocache.downloads.limits import Deadline
from geocache.exceptions import UpdateError
from tests.support.database_server import Service

AUTH = ("1234", "key")


def a_client(auth: client.Auth = None) -> Client:
    return Client(auth, Deadline(time.monotonic() + 60))


def fetched(url: str, target: Path, auth: client.Auth = None) -> bytes:
    with target.open("wb") as file:
        a_client(auth).fetch(url, file, headers={}, progress=lambda *_: None)
    return target.read_bytes()


def test_fetch__follows_a_redirect_within_the_host(service: Service, tmp_path: Path) -> None:
    service.put("/b", b"body")
    url = service.put("/a", b"", status=302, headers={"Location": "/b"})
    assert fetched(url, tmp_path / "b") == b"body"


def test_fetch__account_stays_with_the_host_that_it_belongs_to(
    service: Service, tmp_path: Path, settings: Any
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "UPDATE_REDIRECT_HOSTS": ["localhost"]}
    service.put("/b", b"body")
    there = service.url.replace("127.0.0.1", "localhost") + "/b"
    url = service.put("/a", b"", status=302, headers={"Location": there})
    assert fetched(url, tmp_path / "b", AUTH) == b"body"
    assert ["Authorization" in headers for headers in service.headers] == [True, False]


def test_fetch__progress_counts_up_to_the_total(service: Service) -> None:
    url = service.put("/a", b"x" * 200_000)
    seen: list[tuple[int, int | None]] = []
    progress = lambda count, total: seen.append((count, total))  # noqa: E731 - one line
    a_client().fetch(url, io.BytesIO(), headers={}, progress=progress)
    assert seen[-1] == (200_000, 200_000)


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("https://elsewhere.example/x", "redirects to elsewhere.example; if that is right, add"),
        ("https://evilr2.cloudflarestorage.com/x", "if that is right, add it to"),
        ("http://store.r2.cloudflarestorage.com/x", "only https:// is safe"),
        ("file:///etc/passwd", "only https:// is safe"),
        ("https://[", "127.0.0.1 cannot be reached: ValueError"),
        # urlsplit reads the host after the @, urllib3 the one before the backslash.
        (r"https://10.1.2.3\@r2.cloudflarestorage.com/x", "redirects to what is not a URL"),
        ("/a", "redirects in circles"),
    ],
)
def test_fetch__refuses_a_redirect(
    service: Service, tmp_path: Path, location: str, why: str
) -> None:
    url = service.put("/a", b"", status=302, headers={"Location": location})
    with pytest.raises(UpdateError, match=re.escape(why)):
        fetched(url, tmp_path / "b")


def test_fetch__connection_into_this_network_is_not_used(service: Service) -> None:
    # A name may resolve to another address than when the redirect was checked.
    adapter = BoundedAdapter()
    adapter.refuses_inside = True
    with requests.Session() as session:
        session.mount("http://", adapter)
        with pytest.raises(UpdateError, match="an address inside this network"):
            session.get(service.url + "/a", timeout=5)
    assert service.asked == []


def test_fetch__not_modified_without_a_condition_is_an_error(service: Service) -> None:
    url = service.put("/a", b"", status=304)
    with pytest.raises(UpdateError, match=r"nothing has changed \(304\), which it was not asked"):
        a_client().fetch(url, io.BytesIO(), headers={}, progress=lambda *_: None)
    asked = {"If-None-Match": '"1"'}
    assert a_client().fetch(url, io.BytesIO(), headers=asked, progress=lambda *_: None) is None


@pytest.mark.parametrize("setting", ["UPDATE_TIME_LIMIT_SECONDS", "IMPORT_TIME_LIMIT_SECONDS"])
@pytest.mark.parametrize("is_stopped", [False, True])
def test_fetch__headers_byte_by_byte_end_at_the_deadline(setting: str, is_stopped: bool) -> None:
    began = time.monotonic()
    seconds = 60 if is_stopped else 0.3
    deadline = Deadline(
        began + seconds, lambda: is_stopped and time.monotonic() - began > 0.3, setting=setting
    )
    client = Client(None, deadline)
    why = "stopped before it was done" if is_stopped else f"not done within {setting}"
    with dripping() as url, pytest.raises(UpdateError, match=why):
        client.fetch(url, io.BytesIO(), headers={}, progress=lambda *_: None)
    assert time.monotonic() - began < 4


def test_fetch__headers_byte_by_byte_over_tls_end_at_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    began = time.monotonic()
    client = Client(None, Deadline(began + 0.5))
    why = "not done within UPDATE_TIME_LIMIT_SECONDS"
    with dripping(context) as url, pytest.raises(UpdateError, match=why):
        client.fetch(url, io.BytesIO(), headers={}, progress=lambda *_: None)
    assert time.monotonic() - began < 4


@contextmanager
def dripping(context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that sends its headers byte by byte, and does not end them."""
    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        with suppress(OSError):
            connection, _ = server.accept()
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
                for _ in range(200):
                    connection.sendall(b"x")
                    time.sleep(0.05)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.getsockname()[1]}/a"
    finally:
        server.close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "kind", "why"),
    [
        (404, client.DATABASE, "has no such database (404); check its name"),
        (404, client.LIST, "has no such list (404); check its URL"),
        (401, client.DATABASE, "check account, key and edition"),
        (403, client.LIST, "refuses access (403); check its URL, and the key in it"),
    ],
)
def test_fetch__refusal_speaks_of_what_is_fetched(
    service: Service, status: int, kind: client.Kind, why: str
) -> None:
    url = service.put("/a", b"", status=status)
    asking = Client(None, Deadline(time.monotonic() + 60), kind=kind)
    with pytest.raises(UpdateError, match=re.escape(why)):
        asking.fetch(url, io.BytesIO(), headers={}, progress=lambda *_: None)


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://127.0.0.1/a", "/etc/passwd", ""])
def test_fetch__asks_over_https_only(tmp_path: Path, url: str) -> None:
    with pytest.raises(UpdateError, match="only https:// is safe"):
        fetched(url, tmp_path / "a")


def test_fetch__what_is_larger_than_any_database_is_not_read(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geocache.downloads.limits.MAX_BYTES", 1000)
    url = service.put("/a", b"x" * 5000)
    with pytest.raises(UpdateError, match="that is no database"):
        fetched(url, tmp_path / "a")
    assert (tmp_path / "a").stat().st_size == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"A" * 64 + b"  file.tar.gz\n", "a" * 64),
        (b"a" * 64, "a" * 64),
        (b"a" * 63, ""),
        (b"a" * 65, ""),
        (b"<html>", ""),
        (b"", ""),
        (b" " * 20_000, ""),
    ],
)
def test_fetch_checksum__reads_what_sha256sum_writes(
    service: Service, body: bytes, expected: str
) -> None:
    assert a_client().fetch_checksum(service.put("/a.sha256", body)) == expected


def test_retry_at__seconds_a_date_or_an_hour() -> None:
    now = datetime.now(UTC)
    later = now + timedelta(hours=5)
    for text, hours in (
        ("18000", 5),
        (format_datetime(later, usegmt=True), 5),
        ("", 1),
        ("soon", 1),
        ("9" * 18, 7 * 24),
        ("9" * 4999, 1),
    ):
        assert abs(client.retry_at(text) - now - timedelta(hours=hours)) < timedelta(minutes=1)
