"""The contract of an action that bans what lists hold, and ends bans."""

from collections.abc import Iterable, Sequence
from typing import ClassVar


class BanAction:
    """Bans addresses and networks somewhere; each method raises ``BanError`` when it cannot.

    A process may be killed between an action and its record: the action is then asked again. So
    to ban what is banned already, or to end no ban, has to change nothing.
    """

    # How many entries are given at once, and so at most again after a kill.
    batch_size: ClassVar[int] = 200
    # True: bans are replaced all at once, with ``replace``, and not one by one.
    is_whole: ClassVar[bool] = False

    def ban(self, entries: Sequence[str]) -> None:
        """Ban addresses and networks, a batch at a time."""
        raise NotImplementedError

    def unban(self, entries: Sequence[str]) -> None:
        """End their bans."""
        raise NotImplementedError

    def replace(self, entries: Iterable[str]) -> None:
        """Ban these and nothing else, at once."""
        raise NotImplementedError
