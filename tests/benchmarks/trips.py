"""Count how often a cache server is waited for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from redis.connection import AbstractConnection


@contextmanager
def counted_trips() -> Iterator[list[None]]:
    """Give a list that grows by one with each trip; a pipeline is one."""
    trips: list[None] = []
    send = AbstractConnection.send_packed_command

    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        trips.append(None)
        return send(self, *args, **kwargs)

    with patch.object(AbstractConnection, "send_packed_command", counting):
        yield trips
