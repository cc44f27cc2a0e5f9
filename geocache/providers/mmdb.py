"""Answers from MaxMind DB files: those of MaxMind and DB-IP, and files of flat records.

What is open is a copy in ``VAR_DIR``: a file may be written over while it is in use.

The files are read with ``maxminddb``, the reader below ``geoip2``: the models that
``geoip2.database.Reader`` builds for each answer cost four times the search itself, and refuse a
file whose type they do not know. Source of the record layout: MaxMind's "MaxMind DB" documents.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from geocache import conf
from geocache.exceptions import NotVerifiedYet, ProviderError
from geocache.location import Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.providers.base import Provider, Source
from geocache.providers.coercion import chosen_languages
from geocache.providers.mmdb_answers import Answers
from geocache.providers.mmdb_copies import remove_copies
from geocache.providers.mmdb_files import Database, open_database, stamp_of
from geocache.providers.mmdb_verification import is_writing, waiting_for_verification
from geocache.providers.mounted_files import is_replaced_outside
from geocache.providers.verified_files import Stamp

log = get_logger(__name__)

# How often the files are looked at for a newer one, in seconds. With the longest that an answer
# stays in the memory of a process it makes a minute.
RECHECK_SECONDS: Final = 10.0
# How often names for a page try to open files that no look-up has opened yet, in seconds.
RETRY_SECONDS: Final = 1.0
# How many addresses are looked up without a pause for others in the event loop; it takes about a
# millisecond.
MOST_IN_EVENT_LOOP: Final = 50
FALLBACK_PACKAGE: Final = "_geoip_geolite2"


class MmdbProvider(Provider):
    """Merge the answers of several files; the first that knows a field gives it."""

    def __init__(self, databases: Iterable[str | Path] | None = None) -> None:
        self._configured = None if databases is None else [Path(path) for path in databases]
        self._databases: tuple[Database, ...] = ()
        self._build = ""
        self.rechecked_at = -RECHECK_SECONDS
        self._lock = threading.Lock()
        # When ``records`` last tried to open files.
        self._tried_at = -RETRY_SECONDS
        # What was seen of files that are written over: they are opened when that has ended.
        self._seen: dict[Path, Stamp] = {}
        self._written_over_throttle = LogThrottle(seconds=600)
        # The files are looked at every ten seconds, in each process.
        self._not_reopened_throttle = LogThrottle(seconds=600)

    def build(self) -> str:
        # At each look-up that memory does not answer: what ``opened`` does when it has no more to.
        if not self._databases or time.monotonic() - self.rechecked_at >= RECHECK_SECONDS:
            self.opened()
        return self._build

    def sources(self) -> list[Source]:
        return [database.source for database in self.opened()]

    def resolve(self, address: str) -> Location:
        return Answers(self.opened(), datetime.now(UTC)).of(address)

    def resolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        wanted = list(addresses)
        if type(self).resolve is not MmdbProvider.resolve:
            # A project's own, which adds to each answer.
            super().resolve_into(answers, wanted)
            return
        if not wanted:
            return
        answer_of = Answers(self.opened(), datetime.now(UTC)).of
        failure: ProviderError | None = None
        for address in wanted:
            try:
                answers[address] = answer_of(address)
            except ProviderError as error:
                failure = error
        if failure and answers.keys().isdisjoint(wanted):
            raise failure

    def records(self, address: str) -> Iterator[tuple[Source, object]]:
        for database in self._at_hand():
            if database.may_know(address):
                with suppress(ProviderError):
                    yield database.source, database.search(address)[0]

    def _at_hand(self) -> tuple[Database, ...]:
        """Return what is open; open it now only where nothing has to be verified before."""
        is_due = time.monotonic() - self._tried_at >= RETRY_SECONDS
        if not self._databases and is_due and is_writing() and self._lock.acquire(blocking=False):
            try:
                self._tried_at = time.monotonic()
                with suppress(ProviderError), waiting_for_verification(0):
                    self._reopen()
            finally:
                self._lock.release()
        return self._databases

    async def aresolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        wanted = list(addresses)
        # What is open answers sooner than a thread would begin; to open files may take seconds.
        if len(wanted) <= MOST_IN_EVENT_LOOP and self._is_open():
            self.resolve_into(answers, wanted)
        else:
            await super().aresolve_into(answers, wanted)

    def check(self) -> list[str]:
        problems = []
        try:
            with waiting_for_verification():
                for path in self._paths():
                    problems += _problems(path)
        except ProviderError as error:
            problems.append(str(error))
        return problems

    def doubts(self) -> list[str]:
        return [
            f"{path}: this file is mounted by itself, and was deleted or replaced outside: a newer "
            "one is not seen here; mount its folder instead"
            for path in self._paths()
            if is_replaced_outside(path)
        ]

    def _paths(self) -> list[Path]:
        configured = conf.get("DATABASES") if self._configured is None else self._configured
        if configured:
            return [Path(path) for path in configured]
        for folder in (conf.var_dir(), conf.site_var_dir()):
            if found := sorted(folder.glob("databases/*.mmdb")):
                return found
        return [fallback_path()]

    def opened(self) -> tuple[Database, ...]:
        if not is_writing():
            # Not kept: what is open for longer than this call has copies.
            return self._databases or tuple(map(_opened, self._paths()))
        # One thread looks for newer files; the others go on with what is open.
        if self._is_open():
            return self._databases
        with self._lock:
            if not self._is_open():
                self._reopen()
        return self._databases

    def _is_open(self) -> bool:
        """Tell whether files are open that were looked at not long ago."""
        return bool(self._databases) and time.monotonic() - self.rechecked_at < RECHECK_SECONDS

    def _reopen(self) -> None:
        held = self._databases
        try:
            databases = tuple(map(self._opened_again, self._paths()))
        except NotVerifiedYet:
            # The files that are open answer meanwhile.
            if not held:
                raise
        except ProviderError as error:
            if not held:
                raise
            # An older answer beats none: go on with the files that are open.
            if self._not_reopened_throttle.is_due():
                log.error("geo_database_not_reopened", error=str(error))
        else:
            self._databases = databases
            self._build = (
                "+".join(
                    f"{database.type_name}-{database.reader.metadata().build_epoch}"
                    for database in databases
                )
                + chosen_languages()
            )
            stamps = {database.stamp for database in databases}
            if gone := {database.stamp for database in held} - stamps:
                remove_copies(gone, stamps)
        self.rechecked_at = time.monotonic()

    def _opened_again(self, path: Path) -> Database:
        stamp = stamp_of(path)
        held = {database.stamp: database for database in self._databases}
        if stamp in held:
            return held[stamp]
        for database in held.values():
            if (
                database.path == path
                and database.is_written_over()
                and self._seen.get(path) != stamp
            ):
                # Not before it has been the same twice: half of a file is broken, or wrong.
                self._seen[path] = stamp
                if self._written_over_throttle.is_due():
                    log.warning("geo_database_written_over", path=str(path))
                return database
        return _opened(path, is_needed=not held)


@cache
def fallback_path() -> Path:
    """Return the path of the sample database, installed or not."""
    spec = find_spec(FALLBACK_PACKAGE)
    if spec is None or spec.origin is None:
        raise ProviderError(
            "no database: run manage.py update_geo, name one in GEOCACHE_DATABASES, or install "
            'geocache with the extra "sample"'
        )
    return Path(spec.origin).with_name("GeoLite2-City.mmdb")


def _opened(path: Path, *, is_needed: bool = True) -> Database:
    is_fallback = FALLBACK_PACKAGE in path.parts
    return open_database(path, is_fallback=is_fallback, is_needed=is_needed)


def _problems(path: Path) -> list[str]:
    try:
        _opened(path)
    except ProviderError as error:
        return [str(error)]
    return []
