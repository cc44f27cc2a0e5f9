import re
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from geocache.downloads import client
from geocache.downloads.client import Client
from geocache.downloads.limits import Deadline
from geocache.exceptions import UpdateError
from tests.support.database_server import Service

AUTH = ("1234", "key")


def a_client(auth: client.Auth = None) -> Client:
    return Client(auth, Deadline(time.monotonic() + 60))


def fetched(url: str, target: Path, auth: client.Auth = None) -> bytes:
    a_client(auth).fetch(url, target, headers={}, progress=lambda *_: None)
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


def test_fetch__progress_counts_up_to_the_total(service: Service, tmp_path: Path) -> None:
    url = service.put("/a", b"x" * 200_000)
    seen: list[tuple[int, int | None]] = []
    progress = lambda count, total: seen.append((count, total))  # noqa: E731 - one line
    a_client().fetch(url, tmp_path / "a", headers={}, progress=progress)
    assert seen[-1] == (200_000, 200_000)


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("https://elsewhere.example/x", "redirects to elsewhere.example; if that is right, add"),
        ("https://evilr2.cloudflarestorage.com/x", "if that is right, add it to"),
        ("http://store.r2.cloudflarestorage.com/x", "only https:// is safe"),
        ("file:///etc/passwd", "only https:// is safe"),
        ("https://[", "127.0.0.1 cannot be reached: ValueError"),
        ("/a", "redirects in circles"),
    ],
)
def test_fetch__refuses_a_redirect(
    service: Service, tmp_path: Path, location: str, why: str
) -> None:
    url = service.put("/a", b"", status=302, headers={"Location": location})
    with pytest.raises(UpdateError, match=re.escape(why)):
        fetched(url, tmp_path / "b")


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "fe80::1%eth0"])
def test_fetch__refuses_a_redirect_into_this_network(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
    with pytest.raises(UpdateError, match="an address inside this network"):
        client.refuse_redirect("https://a.r2.cloudflarestorage.com/x", "download.example")


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
