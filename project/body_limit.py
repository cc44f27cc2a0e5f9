"""Limit the body of a request under ASGI, where Django stores all of it before any view runs."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

# What project.settings lets a form have, and its files and headers.
MAX_BODY_BYTES: Final = 13 * 2**20

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
