"""Fetch newer databases into ``VAR_DIR/databases``, where the provider finds them by itself.

A file is downloaded beside the present one, unpacked, verified, and only then renamed: whatever
goes wrong, and whenever the process ends, the present file stays as it is.
"""

import errno
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from geocache import conf, signals
from geocache.databases import install
from geocache.databases.archives import unpack
from geocache.databases.editions import Edition, wanted_editions
from geocache.databases.replaced import remove_expired
from geocache.databases.update_state import UpdateState, UpdateStates
from geocache.databases.verify import read_source, verify
from geocache.downloads.limits import Deadline
from geocache.exceptions import NotPublished, TooOften, UpdateBusy, UpdateError
from geocache.locks.file_lock import exclusive_lock
from geocache.providers.base import Source

if TYPE_CHECKING:
    from geocache.downloads.client import Fetched

INSTALLED: Final = "installed"
UNCHANGED: Final = "unchanged"
NOT_DUE: Final = "not_due"
FAILED: Final = "failed"
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
# The download, what is unpacked of it, the present file, and the copy that is open.
NO_ROOM_HINT: Final = "; make room for four times the size of a database, or move GEOCACHE_VAR_DIR"

# Is told the name of the database, its bytes so far, and how many there are if that is known.
Watch = Callable[[str, int, int | None], object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one database; ``detail`` says why, or which build there is now.

    ``fields`` are those of an answer that it gives, where that is known.
    """

    name: str
    status: str
    detail: str
    fields: tuple[str, ...] = ()


def folder() -> Path:
    """Return the folder that databases are fetched into."""
    return conf.var_dir() / "databases"


def is_used() -> bool:
    """Tell whether the provider looks into that folder."""
    configured = [Path(path).resolve() for path in conf.get("DATABASES")]
    return not configured or folder().resolve() in [path.parent for path in configured]


def update_databases(
    *,
    is_forced: bool = False,
    is_only_due: bool = False,
    is_stopped: Callable[[], bool] = lambda: False,
    watch: Watch = lambda *_: None,
) -> list[Outcome]:
    """Fetch what is newer than what there is.

    ``is_only_due`` leaves out what was looked at within ``UPDATE_DAYS``; ``is_forced`` asks also
    where a service was asked too often. Raises ``UpdateBusy``, ``UpdateError`` when the settings
    make no sense, ``MissingExtra``, and ``OSError`` when the folder cannot be written to.
    """
    deadline = Deadline(time.monotonic() + conf.get("UPDATE_TIME_LIMIT_SECONDS"), is_stopped)
    wanted = wanted_editions()
    busy = UpdateBusy("another update is at work; it does the same")
    outcomes: list[Outcome] = []
    try:
        with exclusive_lock(folder() / ".lock", busy=busy):
            install.sweep(folder())
            states = UpdateStates(folder())
            for edition in wanted:
                update = Update(edition, states, deadline, watch)
                outcomes.append(_outcome(update, is_forced, is_only_due))
            if conf.get("LICENCE_CLEANUP"):
                # The one that was replaced just now may be too old to be kept.
                remove_expired(folder(), datetime.now(UTC))
    finally:
        # Also of those that were installed before the others were interrupted.
        _announce(outcomes)
    return outcomes


def _announce(outcomes: list[Outcome]) -> None:
    for one in outcomes:
        if one.status == INSTALLED:
            signals.send(
                signals.database_updated,
                Source,
                name=one.name,
                path=_path_of(one.name),
                build=one.detail,
            )


def _path_of(name: str) -> Path:
    return folder() / f"{name}.mmdb"


def _outcome(update: "Update", is_forced: bool, is_only_due: bool) -> Outcome:
    now = datetime.now(UTC)
    name, state = update.edition.name, update.states.of(update.edition.name)
    if is_only_due and not state.is_due(now, days=conf.get("UPDATE_DAYS")):
        return Outcome(name, NOT_DUE, "looked at not long ago")
    if not is_forced and (refusal := state.refusal(now)):
        return Outcome(name, FAILED, refusal)
    try:
        return _attempt(update, state.attempted(now))
    except OSError as error:
        reason = error.strerror or str(error)
        room = NO_ROOM_HINT if error.errno in NO_ROOM else ""
        return Outcome(name, FAILED, f"{folder()}: {reason}{room}")


def _attempt(update: "Update", state: UpdateState) -> Outcome:
    """Remember that a service is asked, and what came of it; raise ``OSError``."""
    name = update.edition.name
    try:
        update.states.put(name, state)
        return update.run()
    except TooOften as error:
        update.remember(retry_at=error.retry_at.isoformat(), error=str(error))
        return Outcome(name, FAILED, str(error))
    except UpdateError as error:
        update.remember(error=str(error))
        return Outcome(name, FAILED, str(error))


class Update:
    """One attempt to fetch one database."""

    def __init__(
        self, edition: Edition, states: UpdateStates, deadline: Deadline, watch: Watch
    ) -> None:
        from geocache.downloads.client import Client  # noqa: PLC0415 - its library takes 0.1 s, and may be absent

        self.edition = edition
        self.states = states
        self.deadline = deadline
        self.watch = watch
        self.client = Client(edition.auth, deadline)
        self.target = _path_of(edition.name)

    @property
    def state(self) -> UpdateState:
        """Return what is remembered of this database."""
        return self.states.of(self.edition.name)

    def remember(self, **fields: Any) -> None:
        """Change what is remembered."""
        self.states.put(self.edition.name, replace(self.state, **fields))

    def run(self) -> Outcome:
        """Fetch, unpack, verify and install; raise ``UpdateError`` or ``OSError``."""
        held = read_source(self.target, self.deadline)
        checksum = self._checksum()
        if held and checksum and checksum == self.state.sha256:
            return self._done(UNCHANGED, held)
        with install.draft(self.target) as archive, install.draft(self.target) as fresh:
            fetched = self._fetch(archive, is_conditional=held is not None)
            if fetched is None:
                return self._done(UNCHANGED, held)
            if checksum and checksum != fetched.sha256:
                raise UpdateError("the download is not what its checksum says; try again")
            unpack(archive, fresh, self.deadline)
            source = verify(
                fresh,
                type_name=self.edition.type_name,
                present=self.target,
                deadline=self.deadline,
            )
            is_same = held is not None and held == source
            if not is_same:
                install.install(fresh, self.target)
            return self._done(UNCHANGED if is_same else INSTALLED, source, fetched)

    def _checksum(self) -> str:
        edition = self.edition
        if not edition.checksum_url:
            return ""
        try:
            return self.client.fetch_checksum(edition.checksum_url, edition.checksum_names)
        except NotPublished:
            if edition.is_checksum_required:
                raise
            return ""

    def _fetch(self, target: Path, *, is_conditional: bool) -> "Fetched | None":
        *others, last = self.edition.urls
        for url in others:
            try:
                return self._fetch_one(url, target, is_conditional)
            except NotPublished:
                continue
        return self._fetch_one(last, target, is_conditional)

    def _fetch_one(self, url: str, target: Path, is_conditional: bool) -> "Fetched | None":
        with target.open("wb") as file:
            return self.client.fetch(
                url,
                file,
                headers=self.state.conditions(url) if is_conditional else {},
                progress=lambda count, total: self.watch(self.edition.name, count, total),
            )

    def _done(
        self, status: str, source: Source | None, fetched: "Fetched | None" = None
    ) -> Outcome:
        self.remember(
            checked_at=datetime.now(UTC).isoformat(),
            retry_at="",
            error="",
            **(asdict(fetched) if fetched else {}),
        )
        return Outcome(self.edition.name, status, str(source), source.fields if source else ())
