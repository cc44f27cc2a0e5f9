"""HTTP within the bounds of ``bounded_requests``, in an event loop: sessions of ``aiohttp``.

``geoip2`` asks with it asynchronously. A session belongs to one event loop.
"""

import asyncio
import os
import re
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
    import yarl

# The statuses with which ``aiohttp`` would follow a redirect.
REDIRECTS: Final = (301, 302, 303, 307, 308)
# What ``requests`` asks for as it is. Its way to find that out takes a tenth of a query's time.
PLAIN_URL: Final = re.compile(
    r"https?://[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[\w~:,-][\w~:,.-]*)+(\?[\w~:,.=&-]+)?", re.ASCII
)
# The most that closing sockets may take; it takes next to nothing.
CLOSE_SECONDS: Final = 1.0


class LeftAlone(aiohttp.ClientError):
    """What ``Resting`` is, which ``aiohttp`` would take for a broken connection."""


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
        self.made = [made for made in self.made if made.fileno() >= 0]
        made = socket.socket(family, kind, protocol)
        self.made.append(made)
        return made

    def abandon(self) -> None:
        """Close all whose event loop was closed before it could do so."""
        for made in self.made:
            made.close()

    async def close(self) -> None:
        """Shut all down and let the event loop close them."""
        for made in self.made:
            with suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while any(made.fileno() >= 0 for made in self.made):  # noqa: ASYNC110 - no event tells
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
        if response.headers.get("Location") and response.status in REDIRECTS:
            response.close()
            raise aiohttp.TooManyRedirects(response.request_info, (response,))
        response.content = _BoundedReader(response.content)  # type: ignore[assignment]
        return response

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            # The callers are bounded: who waited here would wait within the time-out.
            limit=0,
            ssl=trust(_authorities()),
            socket_factory=sockets.make,
        ),
        headers=headers,
        # For all of an answer, its headers too.
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        middlewares=(watch,),
    )


class BoundedClient:
    """A bounded session and its sockets, which are closed together."""

    def __init__(self, rest: Rest, timeout_seconds: float, headers: Mapping[str, str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = Sockets()
        self.session = bounded_session(rest, timeout_seconds, headers, self._sockets)

    async def close(self) -> None:
        await self.session.close()
        if self._loop.is_closed():
            self._sockets.abandon()
        else:
            await self._sockets.close()


def exact_url(url: str) -> yarl.URL:
    """Return what ``requests`` would ask for, which ``aiohttp`` would quote in another way.

    Without a name and a password in it, which ``aiohttp`` would send.
    """
    if PLAIN_URL.fullmatch(url):
        return yarl.URL(url, encoded=True)
    prepared = requests.Request("GET", url).prepare().url or url
    return yarl.URL(prepared, encoded=True).with_user(None)


def proxy_of(url: str) -> str | None:
    """Return the proxy that ``requests`` would ask ``url`` through."""
    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


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
