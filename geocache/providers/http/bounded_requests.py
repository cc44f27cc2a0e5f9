"""HTTP within bounds: no redirect, no endless body, no endless wait, and a rest when told to.

``requests`` bounds none of these by itself: its ``timeout`` is for each read, and it holds whole
bodies. It is what ``geoip2`` asks with too, so the bounds are an adapter of its session.
"""

import time
from collections.abc import Iterator
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter

MAX_BODY_BYTES: Final = 2**20
# Between reads of a body the clock is looked at; each read takes what has come.
CHUNK_BYTES: Final = 2**14
# How long a service is left alone after "too many requests", in seconds: what it asks for in
# Retry-After, within bounds, or else the first.
REST_SECONDS: Final = 10.0
MAX_REST_SECONDS: Final = 3600.0


class TooLarge(requests.RequestException):
    """The body is larger than any answer."""


class Resting(requests.RequestException):
    """The service has said that it is asked too often, and is left alone for a while."""


class Rest:
    """Until when a service is left alone by the threads of this process."""

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self, retry_after: str | None) -> None:
        seconds = REST_SECONDS
        # An HTTP date, the other form, depends on two clocks; it counts as none.
        if retry_after and retry_after.isascii() and retry_after.isdigit():
            seconds = min(float(retry_after[:9]), MAX_REST_SECONDS)
        self._until = time.monotonic() + seconds

    def left_seconds(self) -> float:
        return max(0.0, self._until - time.monotonic())


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
        *args: Any,
        **options: Any,
    ) -> requests.Response:
        if self._rest.left_seconds():
            raise Resting
        deadline = time.monotonic() + self._timeout_seconds
        response = super().send(request, stream, *args, **options)
        if response.status_code == 429:
            self._rest.begin(response.headers.get("Retry-After"))
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
