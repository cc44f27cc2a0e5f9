"""What is remembered of earlier updates, in a file beside the databases.

It is written before a service is asked: a process that is killed and started again, over and over,
does not use up what the service grants in a day.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from geocache.databases import install
from geocache.location import EPOCH

FILE_NAME: Final = "updates.json"
DAY: Final = timedelta(days=1)
DAILY_ATTEMPTS: Final = 4
# The job's pause after an attempt that failed.
RETRY: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class UpdateState:
    """The earlier updates of one database. Instants are texts in ISO format."""

    attempted_at: tuple[str, ...] = ()
    # When it was last found to be the newest there is.
    checked_at: str = ""
    retry_at: str = ""
    error: str = ""
    # Of the download that was installed last.
    url: str = ""
    etag: str = ""
    last_modified: str = ""
    sha256: str = ""

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """Return what a file holds; of what makes no sense nothing is remembered."""
        try:
            known = cls(**plain | {"attempted_at": tuple(plain.get("attempted_at", ()))})
            for text in (*known.attempted_at, known.checked_at, known.retry_at):
                _instant(text)
        except (AttributeError, TypeError, ValueError):
            return cls()
        return known

    def attempted(self, at: datetime) -> Self:
        """Return it with one more attempt; those of earlier days are forgotten."""
        recent = [text for text in self.attempted_at if abs(at - _instant(text)) < DAY]
        return replace(self, attempted_at=(*recent, at.isoformat()))

    def refusal(self, at: datetime) -> str:
        """Return why nobody should ask at ``at``, or the empty text."""
        if at < (retry_at := _instant(self.retry_at)):
            return f"the service wants to be left alone until {_minute(retry_at)}"
        # A clock that was set back must not close the door for years.
        recent = [_instant(text) for text in self.attempted_at]
        recent = sorted(one for one in recent if abs(at - one) < DAY)
        if len(recent) >= DAILY_ATTEMPTS:
            return (
                f"asked {DAILY_ATTEMPTS} times within a day; again after "
                f"{_minute(recent[-DAILY_ATTEMPTS] + DAY)}, or with --force"
            )
        return ""

    def is_due(self, at: datetime, *, days: int) -> bool:
        """Tell whether the job should ask at ``at``."""
        attempts = map(_instant, self.attempted_at)
        is_resting = any(abs(at - one) < RETRY for one in attempts)
        return not is_resting and at - _instant(self.checked_at) >= timedelta(days=days)

    def conditions(self, url: str) -> dict[str, str]:
        """Return the headers that ask for ``url`` only if it has changed."""
        if url != self.url:
            return {}
        given = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in given.items() if value}


class UpdateStates:
    """The states of all databases in one folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        try:
            read = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            read = {}
        plain = read if isinstance(read, dict) else {}
        self._states = {name: UpdateState.from_plain(value) for name, value in plain.items()}

    def of(self, name: str) -> UpdateState:
        """Return the state of one database."""
        return self._states.get(name, UpdateState())

    def put(self, name: str, state: UpdateState) -> None:
        """Remember it; it is on the disk when this returns."""
        self._states[name] = state
        plain = {key: asdict(value) for key, value in self._states.items()}
        with install.draft(self.path) as path:
            path.write_text(json.dumps(plain, indent=1))
            install.replace(path, self.path)


def _instant(text: str) -> datetime:
    if not text:
        return EPOCH
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
