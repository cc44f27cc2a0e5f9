"""Fetch one file over HTTPS: bounded in time and size, and only from where it may come from."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import IO, Final
from urllib.parse import urljoin

from geocache import conf, extras
from geocache.downloads.checksums import sha256_of
from geocache.downloads.connections import BoundedAdapter
from geocache.downloads.limits import CHUNK_BYTES, Deadline, check_size
from geocache.downloads.statuses import DATABASE, Kind, failure_of
from geocache.downloads.urls import (
    Allowed,
    Place,
    is_plain,
    may_lead_inside,
    read_url,
    refuse_redirect,
)
from geocache.exceptions import TooOften, UpdateError

with extras.needed("web"):
    import requests
    import urllib3

# Seconds to wait for a connection, and for the next bytes.
TIMEOUTS: Final = (10, 30)
MAX_REDIRECTS: Final = 5
MAX_CHECKSUM_BYTES: Final = 1_000_000
RETRY_SECONDS: Final = 3600
MAX_RETRY_SECONDS: Final = 7 * 86_400
REDIRECTS: Final = (301, 302, 303, 307, 308)
# Only in answer to one of these may a server say that nothing has changed.
CONDITIONS: Final = ("If-None-Match", "If-Modified-Since")

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
        kind: Kind = DATABASE,
        max_bytes: int | None = None,
        redirect_hosts: Sequence[str] | None = None,
    ) -> None:
        self.auth = auth
        self.deadline = deadline
        self.kind = kind
        self.max_bytes = max_bytes
        hosts = conf.get("UPDATE_REDIRECT_HOSTS") if redirect_hosts is None else redirect_hosts
        self.redirect_hosts = [name.lower() for name in hosts]
        self.allowed = Allowed(conf.get("DOWNLOAD_PRIVATE_HOSTS"))

    def fetch(
        self, url: str, target: IO[bytes], *, headers: Mapping[str, str], progress: Progress
    ) -> Fetched | None:
        """Write what ``url`` names to ``target``; None when, going by ``headers``, it is the same.

        Raises ``NotPublished``, ``TooOften`` and other ``UpdateError``.
        """
        with self._response(url, headers) as response:
            if response.status_code == 304:
                return None
            digest = sha256()
            for chunk in self._chunks(response, progress, self.max_bytes):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            return Fetched(
                url=url,
                sha256=digest.hexdigest(),
                etag=response.headers.get("ETag", ""),
                last_modified=response.headers.get("Last-Modified", ""),
            )

    def fetch_checksum(self, url: str, names: Collection[str]) -> str:
        """Return the SHA-256 at ``url`` of the file that one of ``names`` means.

        Raises ``UpdateError`` where none can be read, as ``sha256_of`` does.
        """
        with self._response(url, {}) as response:
            content = b"".join(self._chunks(response, max_bytes=MAX_CHECKSUM_BYTES))
        return sha256_of(content, names)

    @contextmanager
    def _response(self, url: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
        """Ask, going along with redirects that may be followed; the account stays at its origin."""
        first = place = read_url(url)
        is_conditional = any(headers.get(name) for name in CONDITIONS)
        adapter = BoundedAdapter(self.allowed)
        try:
            with requests.Session() as session, adapter.ending_at(self.deadline):
                session.mount("https://", adapter)
                session.mount("http://", adapter)
                for _ in range(MAX_REDIRECTS + 1):
                    self.deadline.check()
                    with session.get(
                        place.url,
                        # Also keeps requests from looking for a password in ~/.netrc.
                        auth=self.auth
                        if self.auth and place.origin == first.origin
                        else _anonymous,
                        headers={"Accept-Encoding": "identity", **headers},
                        allow_redirects=False,
                        stream=True,
                        timeout=TIMEOUTS,
                    ) as response:
                        if response.status_code not in REDIRECTS:
                            self._refuse_failure(response, place, is_conditional)
                            yield response
                            return
                        place = self._redirected(place, first, response)
                        adapter.refuses_inside = not may_lead_inside(place, first)
                raise UpdateError(f"{first.host} redirects in circles")
        # The last for an address of a redirect that requests cannot take apart.
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            self.deadline.check()
            # The text of the error may hold the URL, and that a key.
            raise UpdateError(f"{place.host} cannot be reached: {type(error).__name__}") from error

    def _redirected(self, place: Place, first: Place, response: requests.Response) -> Place:
        location = response.headers.get("Location", "")
        if not location:
            status = response.status_code
            raise UpdateError(
                f"{place.host} redirects ({status}) without saying where to; try again"
            )
        try:
            # Before it is joined: urljoin leaves out some of what must be refused.
            if not is_plain(location):
                raise ValueError
            found = read_url(urljoin(place.url, location))
        except ValueError as error:
            raise UpdateError(f"{place.host} redirects to what is not a URL") from error
        refuse_redirect(found, first, self.redirect_hosts, self.kind.hosts_setting, self.allowed)
        return found

    def _chunks(
        self,
        response: requests.Response,
        progress: Progress | None = None,
        max_bytes: int | None = None,
    ) -> Iterator[bytes]:
        total = _whole(response.headers.get("Content-Length", ""))
        check_size(total or 0, max_bytes)
        count = 0
        # What has come by now, unlike read(), which waits until the chunk is full.
        while chunk := response.raw.read1(CHUNK_BYTES):
            self.deadline.check()
            count += len(chunk)
            check_size(count, max_bytes)
            if progress:
                progress(count, total)
            yield chunk
        # A connection that was shut at the deadline may look like the end.
        self.deadline.check()
        if total is not None and count != total:
            raise UpdateError(f"the download ended at {count:,} of {total:,} bytes; try again")

    def _refuse_failure(
        self, response: requests.Response, place: Place, is_conditional: bool
    ) -> None:
        host, status = place.host, response.status_code
        if status == 200 or (status == 304 and is_conditional):
            return
        if status == 304:
            raise UpdateError(
                f"{host} answers that nothing has changed (304), which it was not asked; try again"
            )
        if status in (429, 503):
            later = retry_at(response.headers.get("Retry-After", ""))
            raise TooOften(f"{host} wants to be asked later ({status})", later)
        raise failure_of(status, host, self.kind)


def _anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


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
