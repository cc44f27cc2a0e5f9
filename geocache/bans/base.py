"""The contract of an action that bans what lists hold, and ends bans."""

from collections.abc import Iterable, Sequence
from typing import ClassVar


class BanAction:
    """Bans addresses and networks somewhere; each method raises ``BanError`` when it cannot.

    ``NotInForce`` names those that were to be banned, now or earlier, and are not; the rest of a
    batch was done.

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

    def takes(self, entry: str) -> bool:  # noqa: ARG002 - an action may take all
        """Tell whether it can ban this at all; what it cannot is not asked for."""
        return True

    def is_in_force(self) -> bool:
        """Tell whether what was banned still is, as far as that is cheap to tell.

        Asked once a minute and more. After False all bans are asked for again: a firewall forgets
        them with a restart.
        """
        return True

    def problem(self) -> str:
        """Return what keeps bans from being in force, for ``manage.py check``; asked at once."""
        return ""
