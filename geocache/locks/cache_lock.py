"""A lock in the cache, for what would otherwise be done twice. It saves work; safety needs more."""

import time
import uuid
from collections.abc import Iterable
from math import ceil
from typing import Final

from django.core.cache import BaseCache

from geocache.cache import backends

POLL_SECONDS: Final = 0.1


def new_token() -> str:
    """Return what tells one holder from all others."""
    # The dash keeps a cache from storing a token of digits as a number.
    return f"{uuid.uuid4().hex}-"


class CacheLock:
    """Locks names in a cache for one holder, until it releases them or ``seconds`` are over.

    The value of a name is a token of the holder, which releases only what has it. A holder that was
    stopped for longer than ``seconds`` does not know that it lost the lock.
    """

    def __init__(self, seconds: float, token: str = "") -> None:
        self.token = token or new_token()
        self.seconds = ceil(seconds)

    def acquire(self, backend: BaseCache, name: str, *, wait_seconds: float = 0.0) -> bool:
        """Lock ``name``; False when another holder keeps it for longer than ``wait_seconds``."""
        waited_until = time.monotonic() + wait_seconds
        while not backend.add(name, self.token, timeout=self.seconds):
            if time.monotonic() >= waited_until:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def acquire_many(self, backend: BaseCache, names: Iterable[str]) -> set[str]:
        """Lock those of ``names`` that no holder has, and return them."""
        return backends.add_many(backend, names, self.token, self.seconds)

    def release(self, backend: BaseCache, names: Iterable[str]) -> None:
        """Release those of ``names`` that this holder still has."""
        backends.delete_if_equal(backend, names, self.token)
