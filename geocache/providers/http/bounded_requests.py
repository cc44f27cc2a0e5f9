"""HTTP within bounds: no redirect, no endless body, no endless wait, and a rest when told to.

``requests`` bounds none of these by itself: its ``timeout`` is for each read, and it holds whole
bodies. It is what ``geoip2`` asks with too, so the bounds are an adapter of its session.
"""

import time
from collections.abc import Iterator
from typing import Any, Final

from geocache import extras
from geocache.providers.http.rest import Rest

with extras.needed("web"):
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import Timeout

MAX_BODY_BYTES: Final = 2**20
# Between reads of a body the clock is looked at; each read takes what has come.
CHUNK_BYTES: Final = 2**14


class TooLarge(requests.RequestException):
    """The body is larger than any answer."""


class Resting(requests.RequestException):
    """The service has said that it is asked too often, and is left alone for a while."""


class BoundedAdapter(HTTPAdapter):
    """Ask within ``timeout_seconds`` for all of the body, and not while ``rest`` lasts."""

    def __init__(self, rest: Rest, timeout_seconds: float) -> None:
        self._rest = rest
        self._timeout_seconds = timeout_seconds
        super().__init__()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: object = None,  # noqa: ARG002 - its own is replaced
        *args: Any,
        **options: Any,
    ) -> requests.Response:
        if self._rest.left_seconds():
            raise Resting
        deadline = time.monotonic() + self._timeout_seconds
        # For connecting and the headers together; a plain number would be for each of them.
        total: Any = Timeout(total=self._timeout_seconds)
        response = super().send(request, stream, total, *args, **options)
        self._rest.heed(response.status_code, response.headers)
        response.raw = _BoundedBody(response.raw, deadline)
        return response


class _BoundedBody:
    """The body of one response, read by ``requests`` through ``stream``."""

    def __init__(self, raw: Any, deadline: float) -> None:
        self._raw = raw
        self._deadline = deadline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        size = 0
        while chunk := self._raw.read1(CHUNK_BYTES, decode_content=True):
            size += len(chunk)
            problem: requests.RequestException | None = None
            if size > MAX_BODY_BYTES:
                problem = TooLarge()
            elif time.monotonic() > self._deadline:
                problem = requests.Timeout()
            if problem:
                self._raw.close()
                raise problem
            yield chunk


def bound(session: requests.Session, rest: Rest, timeout_seconds: float) -> requests.Session:
    """Put ``session`` within bounds and return it."""
    session.max_redirects = 0
    for scheme in ("https://", "http://"):
        session.mount(scheme, BoundedAdapter(rest, timeout_seconds))
    return session
