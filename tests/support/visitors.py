"""What a project may name in VISITOR_ADDRESS."""

from ipaddress import IPv4Address, ip_address
from typing import Any

from django.http import HttpRequest

TEXT = "not callable"


def told(request: HttpRequest) -> str | None:
    """Say what a header says, which the tests fill."""
    return request.headers.get("Told")


def told_as_object(request: HttpRequest) -> Any:
    return ip_address(request.headers["Told"])


def not_told(_: HttpRequest) -> None:
    return None


def fails(_: HttpRequest) -> str:
    raise RuntimeError("of the project")


async def is_async(_: HttpRequest) -> str:
    return "81.2.69.142"


class AsyncCalled:
    async def __call__(self, request: HttpRequest) -> IPv4Address: ...


async_called = AsyncCalled()
