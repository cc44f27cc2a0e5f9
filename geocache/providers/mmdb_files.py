"""Open one database file: once it is verified, and as a copy that is never written over."""

import errno
import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import maxminddb

from geocache.exceptions import ProviderError
from geocache.field_sources import GIVEN
from geocache.licences.named import licence_of, name_of
from geocache.log import get_logger
from geocache.providers.base import Source
from geocache.providers.coercion import text
from geocache.providers.mmdb_copies import Pin, copy_of
from geocache.providers.mmdb_records import record_fields
from geocache.providers.mmdb_verification import is_writing, require_verified
from geocache.providers.verified_files import Stamp

log = get_logger(__name__)

# Whose files are known by their types; any other has to have a field that is known.
MAKERS: Final = ("GeoLite", "GeoIP", "DBIP")
USABLE_TYPES: Final = ("city", "country", "asn", "enterprise", "isp", "insights", "location")
# Of so many records that say anything the fields are told, and so many are read for that at most:
# most of MaxMind's Anonymous Plus are empty. It takes some milliseconds.
SAMPLE_RECORDS: Final = 500
READ_RECORDS: Final = 10_000
# All over the tree: its beginning alone is of one part of the world.
SAMPLE_ADDRESSES: Final = tuple(f"{first}.{first}.64.1" for first in range(1, 224, 3))
# What a download is called until it is verified: its own name is inside.
DRAFT_NAME: Final = re.compile(r"\.(.+\.mmdb)\..*")

# Why there is no copy, where the reason is not that nothing can be written at all.
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Database:
    """One open file; ``stamp`` tells whether the path still names the same one."""

    path: Path
    # False where no copy could be made: then ``path`` itself is open.
    is_copy: bool
    pin: Pin
    reader: maxminddb.Reader
    source: Source
    stamp: Stamp
    is_ipv4_only: bool
    is_ipv6_only: bool
    # ``str(source)``, made once: it is part of every answer.
    label: str
    # What the file calls itself, whatever people call it: part of the keys of hot entries.
    type_name: str

    def may_know(self, address: str) -> bool:
        """Tell whether addresses of this version are in the file at all."""
        return not (self.is_ipv4_only if ":" in address else self.is_ipv6_only)

    def search(self, address: str) -> tuple[object, int]:
        """Return the record of an address, and the length of its prefix.

        Raises ``ProviderError``.
        """
        if not self.is_copy:
            self._require_unchanged()
        try:
            found: tuple[object, int] = self.reader.get_with_prefix_len(address)
        except (ValueError, maxminddb.InvalidDatabaseError) as error:
            raise ProviderError(f"{self.path}: damaged: {error}") from error
        # Who writes over a file changes its time first, and then what is read here.
        if not self.is_copy:
            self._require_unchanged()
        return found

    def _require_unchanged(self) -> None:
        """Raise ``ProviderError`` if what is open has been written over since."""
        if self.is_written_over():
            raise ProviderError(f"{self.path}: was written over while it was in use")

    def is_written_over(self) -> bool:
        """Tell whether the path names the same file, but with another content."""
        with suppress(OSError):
            stamp = Stamp.of(self.path)
            return stamp != self.stamp and stamp.inode == self.stamp.inode
        return False


def stamp_of(path: Path) -> Stamp:
    """Return the stamp of a file; raise ``ProviderError``."""
    try:
        return Stamp.of(path)
    except OSError as error:
        raise ProviderError(f"{path}: {error.strerror or error}") from error


def open_database(path: Path, *, is_fallback: bool = False, is_needed: bool = True) -> Database:
    """Open a file once it is verified; raise ``ProviderError``."""
    stamp = stamp_of(path)
    # Who installed the sample verified it: a package has checksums.
    if not is_fallback:
        require_verified(path, stamp, is_needed=is_needed)
    pin, opened = _pinned(path, stamp, is_fallback=is_fallback)
    try:
        reader = maxminddb.open_database(opened)
        metadata = reader.metadata()
        type_name = text(metadata.database_type)
        built_at = datetime.fromtimestamp(metadata.build_epoch, UTC)
        samples = _samples(reader, metadata.ip_version)
        is_ipv6_only = metadata.ip_version == 6 and _is_without_ipv4(reader)
    except (OSError, OverflowError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise ProviderError(f"{path}: not a readable MaxMind DB file") from error
    if not samples and not _is_usual(type_name):
        raise ProviderError(
            f"{path}: a database of type {type_name} without a field that is known; needed is one "
            "such as country, asn, isp or is_anonymous"
        )
    source = replace(
        _source(path, type_name, built_at, is_fallback=is_fallback),
        fields=tuple(name for name in GIVEN if any(name in fields for fields in samples)),
        is_list=bool(samples) and all("traits" in fields for fields in samples),
    )
    return Database(
        path=path,
        is_copy=is_fallback or opened != path,
        pin=pin,
        reader=reader,
        source=source,
        stamp=stamp,
        is_ipv4_only=metadata.ip_version == 4,
        is_ipv6_only=is_ipv6_only,
        label=str(source),
        type_name=type_name,
    )


def read_label(path: Path, file_name: str) -> tuple[str, datetime]:
    """Return what a file is called in answers, and when it was built; raise ``ProviderError``.

    Only its metadata is read, by the reader in Python: the file need not be verified for that.
    """
    try:
        with maxminddb.open_database(path, maxminddb.MODE_FILE) as reader:
            metadata = reader.metadata()
        built_at = datetime.fromtimestamp(metadata.build_epoch, UTC)
    except (OSError, OverflowError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise ProviderError(f"{path}: not a readable MaxMind DB file") from error
    return name_of(file_name, text(metadata.database_type)), built_at


def _source(path: Path, type_name: str, built_at: datetime, *, is_fallback: bool) -> Source:
    draft = DRAFT_NAME.fullmatch(path.name)
    name = name_of(draft[1] if draft else path.name, type_name)
    return Source(
        name=name,
        built_at=built_at,
        attribution=licence_of(name, built_at.date()).credit,
        is_fallback=is_fallback,
        type_name="" if name == type_name else type_name,
        path=path,
    )


def _pinned(path: Path, stamp: Stamp, *, is_fallback: bool) -> tuple[Pin, Path]:
    """Return what keeps the file, and what is opened for it: a copy, if there can be one."""
    try:
        pin = Pin(path)
    except OSError as error:
        raise ProviderError(f"{path}: {error.strerror or error}") from error
    if is_fallback or not is_writing():
        return pin, path
    try:
        return pin, copy_of(path, stamp)
    except OSError as error:
        # Where nothing at all can be written, the verification has said so.
        if error.errno in NO_ROOM:
            log.warning(
                "geo_database_opened_without_copy", path=str(path), error=os.strerror(error.errno)
            )
        return pin, path


def _is_usual(name: str) -> bool:
    return name.startswith(MAKERS) and any(usable in name.lower() for usable in USABLE_TYPES)


def _samples(reader: maxminddb.Reader, ip_version: int) -> list[dict[str, Any]]:
    """Return the fields of some records, of those that fill any."""
    first = (record_fields(record) for _, record in islice(reader, READ_RECORDS))
    samples = [*islice(filter(None, first), SAMPLE_RECORDS)]
    if ip_version == 4 or not _is_without_ipv4(reader):
        samples += filter(None, map(record_fields, map(reader.get, SAMPLE_ADDRESSES)))
    return samples


def _is_without_ipv4(reader: maxminddb.Reader) -> bool:
    """Tell whether the branch of the tree that is for IPv4 is missing as a whole."""
    return reader.get_with_prefix_len("1.0.0.0") == (None, 0)
