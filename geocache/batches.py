"""A list, some items at a time: a statement, or a transaction, takes no more."""

from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def batches(items: list[T], size: int) -> Iterator[list[T]]:
    """Give ``items`` in lists of ``size``, the last of which may be shorter."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
