"""Ban actions that record their calls."""

from collections.abc import Iterable, Sequence
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
