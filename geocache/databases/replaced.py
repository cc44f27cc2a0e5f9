"""Replaced files (``.previous``) of a licence that does not allow them to be kept.

They go 30 days after their own build, whatever the age of the one that took their place: a newer
release was there some days after it. A file of another licence stays.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from geocache.databases.install import PREVIOUS
from geocache.exceptions import ProviderError
from geocache.licences.limits import has_to_go
from geocache.log import get_logger
from geocache.providers.mmdb_files import read_label

log = get_logger(__name__)


def expired_files(folder: Path, at: datetime) -> Iterator[Path]:
    """Give the replaced files in ``folder`` that have to go at ``at``."""
    for path in sorted(folder.glob(f"*.mmdb{PREVIOUS}")):
        # One that cannot be read is useless, but its licence is unknown.
        with suppress(ProviderError):
            name, built_at = read_label(path, path.name.removesuffix(PREVIOUS))
            if has_to_go(name, built_at.date(), at):
                yield path


def remove_expired(folder: Path, at: datetime) -> int:
    """Remove those files, and return how many were removed."""
    count = 0
    for path in expired_files(folder, at):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.error("geo_replaced_file_not_removed", path=str(path), error=error.strerror)
        else:
            log.info("geo_replaced_file_removed", path=str(path))
            count += 1
    return count
