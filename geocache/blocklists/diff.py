"""What is new on a list and what has left it, from two walks in one order."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from geocache.addresses.blocks import Entry


class Change(NamedTuple):
    """An entry that has added, or has left."""

    entry: Entry
    is_added: bool


def differences(new: Iterable[Entry], held: Iterable[Entry]) -> Iterator[Change]:
    """Give what is only in one of two sorted walks, in their order."""
    news, helds = iter(new), iter(held)
    one, other = next(news, None), next(helds, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[:2] < other[:2]):
            yield Change(one, True)  # type: ignore[arg-type]  # it is no None here
            one = next(news, None)
        elif one is None or other[:2] < one[:2]:
            yield Change(other, False)
            other = next(helds, None)
        else:
            one, other = next(news, None), next(helds, None)
