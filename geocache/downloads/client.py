"""Fetch one file over HTTPS: bounded in time and size, and only from where it may come from."""

import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from geocache import conf
from geocache.downloads.limits import CHUNK_BYTES, Deadline, check_size
from geocache.exceptions import NotPublished, TooOften, UpdateError

# Seconds to wait for a connection, and for the next bytes.
TIMEOUTS: Final = (10, 30)
MAX_REDIRECTS: Final = 5
MAX_CHECKSUM_BYTES: Final = 10_000
RETRY_SECONDS: Final = 3600
MAX_RETRY_SECONDS: Final = 7 * 86_400
REDIRECTS: Final = (301, 302, 303, 307, 308)
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

Auth = tuple[str, str] | None
# Is told the bytes so far, and how many there are if that is known.
Progress = Callable[[int, int | None], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came, and by what the service will know whether it has changed."""

    url: str
    sha256: str
    etag: str = ""
    last_modified: str = ""


class Client:
    """Fetches from one service, with the account that it knows.

    Redirects may lead to the service's own host and to ``redirect_hosts`` with what is below them;
    None: those of ``UPDATE_REDIRECT_HOSTS``.
    """

    def __init__(
        self,
        auth: Auth,
        deadline: Deadline,
        *,
        max_bytes: int | None = None,
        redirect_hosts: Sequence[str] | None = None,
    ) -> None:
        self.auth = auth
        self.deadline = deadline
        self.max_bytes = max_bytes
        self.redirect_hosts = redirect_hosts

    def fetch(
        self, url: str, target: Path, *, headers: Mapping[str, str], progress: Progress
    ) -> Fetched | None:
        """Write what ``url`` names to ``target``; None when, going by ``headers``, it is the same.

        Raises ``NotPublished``, ``TooOften`` and other ``UpdateError``.
        """
        with _response(url, self.auth, headers, self.redirect_hosts) as response:
            if response.status_code == 304:
                return None
            digest = sha256()
            with target.open("wb") as file:
                for chunk in _chunks(response, self.deadline, progress, self.max_bytes):
                    digest.update(chunk)
                    file.write(chunk)
            return Fetched(
                url=url,
                sha256=digest.hexdigest(),
                etag=response.headers.get("ETag", ""),
                last_modified=response.headers.get("Last-Modified", ""),
            )

    def fetch_checksum(self, url: str) -> str:
        """Return the SHA-256 that ``url`` holds, or the empty text when it holds something else."""
        with _response(url, self.auth, {}, self.redirect_hosts) as response:
            text = b""
            for chunk in _chunks(response, self.deadline):
                text += chunk
                if len(text) > MAX_CHECKSUM_BYTES:
                    return ""
        found = re.match(rb"\s*([0-9a-fA-F]{64})\b", text)
        return found[1].decode().lower() if found else ""


@contextmanager
def _response(
    url: str, auth: Auth, headers: Mapping[str, str], redirect_hosts: Sequence[str] | None
) -> Iterator[requests.Response]:
    """Ask, going along with redirects that may be followed; the account goes to nobody else."""
    _refuse_plain(url)
    origin = _host(url)
    try:
        with requests.Session() as session:
            for _ in range(MAX_REDIRECTS + 1):
                with session.get(
                    url,
                    # Also keeps requests from looking for a password in ~/.netrc.
                    auth=auth if auth and _host(url) == origin else _anonymous,
                    headers={"Accept-Encoding": "identity", **headers},
                    allow_redirects=False,
                    stream=True,
                    timeout=TIMEOUTS,
                ) as response:
                    if response.status_code not in REDIRECTS:
                        _refuse_failure(response)
                        yield response
                        return
                    url = urljoin(url, response.headers.get("Location", ""))
                    refuse_redirect(url, origin, redirect_hosts)
            raise UpdateError(f"{origin} redirects in circles")
    # The last for an address of a redirect that requests cannot take apart.
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        # The text of the error may hold the URL, and that a key.
        raise UpdateError(f"{_host(url)} cannot be reached: {type(error).__name__}") from error


def _chunks(
    response: requests.Response,
    deadline: Deadline,
    progress: Progress | None = None,
    max_bytes: int | None = None,
) -> Iterator[bytes]:
    total = _whole(response.headers.get("Content-Length", ""))
    check_size(total or 0, max_bytes)
    count = 0
    # What has come by now, unlike read(), which waits until the chunk is full.
    while chunk := response.raw.read1(CHUNK_BYTES):
        deadline.check()
        count += len(chunk)
        check_size(count, max_bytes)
        if progress:
            progress(count, total)
        yield chunk
    if total is not None and count != total:
        raise UpdateError(f"the download ended at {count:,} of {total:,} bytes; try again")


def _anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError as error:
        raise UpdateError("what should be a URL is none") from error


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _refuse_plain(url: str) -> None:
    scheme = urlsplit(url).scheme
    if scheme != "https" and not (scheme == "http" and _host(url) in LOOPBACK):
        raise UpdateError(f"{_host(url) or 'a URL'} is not asked: only https:// is safe")


def refuse_redirect(url: str, origin: str, hosts: Sequence[str] | None = None) -> None:
    """Raise ``UpdateError`` for a redirect to a host that is not trusted."""
    _refuse_plain(url)
    host = _host(url)
    setting = "UPDATE_REDIRECT_HOSTS" if hosts is None else "IMPORT_HOSTS"
    allowed = [name.lower() for name in (conf.get(setting) if hosts is None else hosts)]
    if host != origin and not any(host == one or host.endswith(f".{one}") for one in allowed):
        raise UpdateError(f"{origin} redirects to {host}; if that is right, add it to {setting}")
    if origin not in LOOPBACK and _is_inside(host):
        raise UpdateError(f"{origin} redirects to {host}, an address inside this network")


def _is_inside(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        # Behind a proxy that resolves names; else the request itself says so.
        return False
    return any(not ip_address(str(entry[4][0]).partition("%")[0]).is_global for entry in found)


def _refuse_failure(response: requests.Response) -> None:
    host, status = _host(response.url), response.status_code
    if status in (200, 304):
        return
    if status in (401, 403):
        raise UpdateError(f"{host} refuses access ({status}); check account, key and edition")
    if status in (404, 410):
        raise NotPublished(f"{host} has no such database ({status}); check its name")
    if status in (429, 503):
        later = retry_at(response.headers.get("Retry-After", ""))
        raise TooOften(f"{host} wants to be asked later ({status})", later)
    raise UpdateError(f"{host} answers {status}; try again later")


def retry_at(text: str) -> datetime:
    """Return the moment that a ``Retry-After`` header names, within ``MAX_RETRY_SECONDS``."""
    now = datetime.now(UTC)
    latest = now + timedelta(seconds=MAX_RETRY_SECONDS)
    if (seconds := _whole(text)) is not None:
        return now + timedelta(seconds=min(seconds, MAX_RETRY_SECONDS))
    try:
        return min(parsedate_to_datetime(text).astimezone(UTC), latest)
    except ValueError:
        return now + timedelta(seconds=RETRY_SECONDS)
