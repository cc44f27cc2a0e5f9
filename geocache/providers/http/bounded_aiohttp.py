"""HTTP within the bounds of ``web``, for many questions at once: sessions of ``aiohttp``.

``geoip2`` asks with it asynchronously. A session belongs to one event loop, and so to one batch.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Final

from geocache import extras
from geocache.providers.http.bounded_requests import CHUNK_BYTES, MAX_BODY_BYTES, TooLarge
from geocache.providers.http.rest import Rest

with extras.needed("web"):
    import aiohttp
    import requests

# Questions at once: more would look like an attack to a service that counts by the second.
CONNECTIONS: Final = 8
# The most that closing them may take; it takes next to nothing.
CLOSE_SECONDS: Final = 1.0


class LeftAlone(aiohttp.ClientError):
    """What ``web.Resting`` is, which ``aiohttp`` would take for a broken connection."""


class _BoundedReader:
    """The body of one response, which ``aiohttp`` reads through ``read``."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    async def read(self) -> bytes:
        body = b""
        while chunk := await self._reader.read(CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise TooLarge
        return body


class Sockets:
    """The sockets of one session, to be closed before its event loop ends.

    A connection over TLS that is given up waits for the farewell of the other side, which may have
    gone silent, and would be left open.
    """

    def __init__(self) -> None:
        self.made: list[socket.socket] = []

    def make(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Return a new socket for one of the addresses of a host."""
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self.made.append(made)
        return made

    async def close(self) -> None:
        """Shut all down and let the event loop close them."""
        for made in self.made:
            with suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while any(made.fileno() >= 0 for made in self.made):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0)


def bounded_session(
    rest: Rest, timeout_seconds: float, headers: Mapping[str, str], sockets: Sockets
) -> aiohttp.ClientSession:
    """Return a session that follows no redirect, asks not while ``rest`` lasts, and gives up.

    Call it while an event loop runs.
    """

    async def watch(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if rest.left_seconds():
            raise LeftAlone
        response = await handler(request)
        rest.heed(response.status, response.headers)
        if response.headers.get("Location"):
            response.close()
            raise aiohttp.TooManyRedirects(response.request_info, (response,))
        response.content = _BoundedReader(response.content)  # type: ignore[assignment]
        return response

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=CONNECTIONS, ssl=trust(_authorities()), socket_factory=sockets.make
        ),
        headers=headers,
        # For all of an answer, its headers too.
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        middlewares=(watch,),
    )


def proxy_of(url: str) -> str | None:
    """Return the proxy that ``requests`` would ask ``url`` through."""
    return requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))


def _authorities() -> str:
    """Return what ``requests`` would trust, so that both ways of asking succeed or fail."""
    named = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    return next(filter(None, named), requests.utils.DEFAULT_CA_BUNDLE_PATH)


@cache
def trust(authorities: str) -> ssl.SSLContext:
    """Return a context that trusts the certificates of a file or a folder."""
    if os.path.isdir(authorities):  # noqa: PTH112 - as text, which it is in the environment
        return ssl.create_default_context(capath=authorities)
    return ssl.create_default_context(cafile=authorities)
