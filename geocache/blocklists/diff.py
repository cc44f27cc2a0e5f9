"""What is new on a list, what has left it and what it says of the rest, from two ordered walks."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from geocache.addresses.blocks import Entry


class Kind(Enum):
    """What has become of an entry."""

    ADDED = "added"
    REMOVED = "removed"
    # It stayed, with another score or comment.
    CHANGED = "changed"


class Change(NamedTuple):
    """An entry that was added, removed, or changed, which then is the new one."""

    kind: Kind
    entry: Entry


def differences(new: Iterable[Entry], held: Iterable[Entry]) -> Iterator[Change]:
    """Give what is not the same in two sorted walks, in their order."""
    news, helds = iter(new), iter(held)
    one, other = next(news, None), next(helds, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[:2] < other[:2]):
            yield Change(Kind.ADDED, one)  # type: ignore[arg-type]  # it is not None here
            one = next(news, None)
        elif one is None or other[:2] < one[:2]:
            yield Change(Kind.REMOVED, other)
            other = next(helds, None)
        else:
            if one != other:
                yield Change(Kind.CHANGED, one)
            one, other = next(news, None), next(helds, None)
