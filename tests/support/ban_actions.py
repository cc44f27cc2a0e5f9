"""Ban actions that record their calls."""

import random
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, ClassVar

from geocache.bans.base import BanAction
from geocache.exceptions import BanError


class RecordingAction(BanAction):
    """Records its calls, and fails when it is told to."""

    batch_size = 2
    asked: ClassVar[list[tuple[str, list[str]]]] = []
    # The number of the call that fails, from 0.
    fails_at: ClassVar[int | None] = None

    def ban(self, entries: Sequence[str]) -> None:
        self._ask("ban", entries)

    def unban(self, entries: Sequence[str]) -> None:
        self._ask("unban", entries)

    def replace(self, entries: Iterable[str]) -> None:
        self._ask("replace", list(entries))

    def _ask(self, what: str, entries: Sequence[str]) -> None:
        if len(self.asked) == type(self).fails_at:
            type(self).fails_at = None
            raise BanError("the jail is closed")
        self.asked.append((what, list(entries)))


class WholeAction(RecordingAction):
    is_whole = True


def use_action(settings: Any, action: type[RecordingAction] | str, **options: Any) -> None:
    """Configure an action, and forget earlier calls."""
    RecordingAction.asked.clear()
    RecordingAction.fails_at = WholeAction.fails_at = None
    path = action if isinstance(action, str) else f"{action.__module__}.{action.__name__}"
    configured = {"BACKEND": path, "OPTIONS": options}
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": configured}


def many_entries(count: int) -> Iterator[str]:
    """Give made-up entries: four of five IPv4, some of them networks, and IPv6 in between."""
    made_up = random.Random(1)
    for number in range(count):
        if number % 20 == 0:
            yield str(IPv6Address(0x2A02 << 112 | made_up.getrandbits(112)))
        elif number % 7 == 0:
            first = made_up.randrange(16 << 24, 126 << 24) >> 8 << 8
            yield f"{IPv4Address(first)}/24"
        else:
            yield str(IPv4Address(made_up.randrange(16 << 24, 126 << 24)))
