"""The body of a request: its limit under ASGI, and the rest that a view leaves under WSGI.

Under ASGI, Django stores all of a body before any view runs. Under WSGI, a view may answer without
having read it, and the server then closes the connection: a proxy that still writes the body (Caddy
does not store it first) says 502 instead of what the view answered.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# What project.settings lets a form have, and its files and headers.
MAX_BODY_BYTES: Final = 13 * 2**20
_CHUNK_BYTES: Final = 2**16

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


def limit_body(application: Application, max_bytes: int = MAX_BODY_BYTES) -> Application:
    """Return ``application``, for which a client that sends too much has gone away."""

    async def limited(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        received_bytes = 0

        async def counted() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            return {"type": "http.disconnect"} if received_bytes > max_bytes else message

        await application(scope, counted, send)

    return limited


def read_rest(application: WSGIApplication, max_bytes: int = MAX_BODY_BYTES) -> WSGIApplication:
    """Return ``application``, which answers when the body is read: all of it, if it is allowed."""

    def reading(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        response = application(environ, start_response)
        # One chunk more than is allowed: a proxy with the same limit then sees what is too much.
        # A client that has gone is for the server to notice: the response must still be closed.
        with suppress(OSError):
            for _ in range(max_bytes // _CHUNK_BYTES + 1):
                if not environ["wsgi.input"].read(_CHUNK_BYTES):
                    break
        return response

    return reading
