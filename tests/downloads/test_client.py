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
from geocache.downloads.statuses import DATABASE, LIST, MEANINGS, Kind
from geocache.downloads.urls import Allowed
from geocache.exceptions import UpdateError
from tests.support.database_server import Service

pytestmark = pytest.mark.any_services

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


@pytest.mark.parametrize("allowed", ["127.0.0.0/8", "127.0.0.1"])
def test_fetch__connection_that_the_setting_allows_is_used(service: Service, allowed: str) -> None:
    adapter = BoundedAdapter(Allowed([allowed]))
    adapter.refuses_inside = True
    url = service.put("/a", b"body")
    with requests.Session() as session:
        session.mount("http://", adapter)
        assert session.get(url, timeout=5).content == b"body"


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
        with suppress(OSError):
            # Closing alone does not wake the thread that accepts, if no client has connected.
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "kind", "why"),
    [
        (404, DATABASE, "has no such database (404); check its name"),
        (404, LIST, "has no such list (404); check its URL"),
        (401, DATABASE, "check account, key and edition"),
        (403, LIST, "refuses access (403); check its URL, and the key in it"),
        (202, LIST, "has not made it yet (202); try again later"),
        (204, LIST, "answers without any content (204); check its URL"),
        (206, DATABASE, "a part only (206)"),
        (226, LIST, "answers 226, with which no list comes; check its URL"),
        (300, LIST, "offers several to choose from (300); use the URL of one"),
        (306, LIST, "answers 306, a redirect that is not followed; check its URL"),
        (302, LIST, "redirects (302) without saying where to"),
        (400, LIST, "does not understand the request (400); check its URL"),
        (402, DATABASE, "wants to be paid (402); see to the account's plan or bill"),
        (405, LIST, "does not offer it as a download (405); check its URL"),
        (406, DATABASE, "does not offer it in a form that is asked for (406)"),
        (407, LIST, "a proxy that wants a name and a password (407); put them into HTTPS_PROXY"),
        (408, LIST, "did not get the request in time (408); try again, the line is slow"),
        (410, LIST, "has that list no longer (410); look for where it is now"),
        (410, DATABASE, "has that database no longer (410)"),
        (413, LIST, "finds the request too large (413)"),
        (418, LIST, "does not answer programs (418); ask its owner"),
        (422, LIST, "refuses the request (422); check its URL"),
        (425, LIST, "so early in a connection (425); try again"),
        (451, DATABASE, "may not offer it for legal reasons (451); use another source"),
        (451, LIST, "may not offer it for legal reasons (451); use another source"),
        (500, LIST, "answers 500; try again later"),
        (501, LIST, "cannot answer such a request (501); check its URL"),
        (511, LIST, "behind a network that wants a log-in first (511)"),
        (522, LIST, "answers 522; try again later"),
        (599, LIST, "answers 599; try again later"),
        (600, LIST, "answers 600, which no status means"),
        (999, LIST, "answers 999, which no status means; check its URL"),
    ],
)
def test_fetch__refusal_speaks_of_what_is_fetched(
    service: Service, status: int, kind: Kind, why: str
) -> None:
    url = service.put("/a", b"", status=status)
    asking = Client(None, Deadline(time.monotonic() + 60), kind=kind)
    with pytest.raises(UpdateError, match=re.escape(why)):
        asking.fetch(url, io.BytesIO(), headers={}, progress=lambda *_: None)


@pytest.mark.parametrize("kind", [DATABASE, LIST])
def test_fetch__no_status_but_200_is_taken_and_each_has_its_line(
    service: Service, kind: Kind
) -> None:
    asking = Client(None, Deadline(time.monotonic() + 60), kind=kind)
    told = {}
    for status in sorted({*MEANINGS, 429, 500, 502, 503}):
        url = service.put("/a", b"", status=status)
        with pytest.raises(UpdateError) as refusal:
            asking.fetch(url, io.BytesIO(), headers={}, progress=lambda *_: None)
        told[status] = str(refusal.value)
        assert "\n" not in told[status]
        assert str(status) in told[status]
    # Of what is so for good nobody is told to wait.
    waits = {status for status, line in told.items() if "later" in line}
    assert waits == {202, 409, 423, 429, 500, 502, 503}


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


def test_fetch_checksum__is_that_of_the_file_that_is_named(service: Service) -> None:
    body = b"a" * 64 + b"  asn.mmdb\n" + b"B" * 64 + b"  city.mmdb\n"
    url = service.put("/city.mmdb.sha256", body)
    assert a_client().fetch_checksum(url, ["city.mmdb"]) == "b" * 64


def test_fetch_checksum__what_is_larger_than_any_is_not_read(service: Service) -> None:
    url = service.put("/city.mmdb.sha256", b" " * 2_000_000)
    with pytest.raises(UpdateError, match="larger than 1,000,000 bytes"):
        a_client().fetch_checksum(url, ["city.mmdb"])


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
