"""Is a file a database that may take the place of the present one?"""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from geocache.downloads.limits import MIN_BYTES, Deadline
from geocache.exceptions import NotVerifiedYet, ProviderError, UpdateError
from geocache.providers.base import Source
from geocache.providers.mmdb import MmdbProvider
from geocache.providers.mmdb_verification import waiting_for_verification

# Servers for the whole world that have been where they are for years; by family, as a file may hold
# only one. Half of either has to be known.
KNOWN: Final = (
    ("1.1.1.1", "8.8.8.8", "9.9.9.9", "208.67.222.222"),
    ("2001:4860:4860::8888", "2606:4700:4700::1111", "2620:fe::fe", "2620:119:35::35"),
)
# All over the tree: a file that is damaged in its middle may open and know the ones above.
SPREAD: Final = (
    *(f"{first}.{first}.64.1" for first in range(1, 224)),
    *(f"2{first:03x}:{first:x}::1" for first in range(0, 0x1000, 32)),
)
# What files have that know nearly every address.
OF_THE_WORLD: Final = ("country_code", "asn")
POLL_SECONDS: Final = 0.05
# A build from the other side of the date line, or made by a clock that is a little fast.
FUTURE: Final = timedelta(days=2)


def read_source(path: Path, deadline: Deadline) -> Source | None:
    """Return what the file at ``path`` is, or None when there is none that can be used."""
    try:
        return _opened(path, deadline).sources()[0]
    except ProviderError:
        return None


def verify(path: Path, *, type_name: str, present: Path, deadline: Deadline) -> Source:
    """Return what ``path`` is; raise ``UpdateError`` unless it may replace ``present``."""
    size = path.stat().st_size
    if size < MIN_BYTES:
        raise UpdateError(f"{size:,} bytes are too few for a database")
    try:
        provider = _opened(path, deadline)
        source = provider.sources()[0]
    except ProviderError as error:
        raise UpdateError(
            f"what came is {str(error).removeprefix(f'{path}: ')}; check edition and URL"
        ) from error
    if _is_of_the_future(source):
        # All that is published until then would be older.
        raise UpdateError(f"what came is of {source.built_at:%Y-%m-%d}, which is in the future")
    held = read_source(present, deadline)
    wanted = type_name or (_type_of(held) if held else "")
    if not _type_of(source).startswith(wanted):
        raise UpdateError(f"what came is of type {_type_of(source)}; expected is {wanted}")
    if held:
        _refuse_step_back(source, held, size, present.stat().st_size)
    _ask(provider, is_of_the_world=not source.is_list and _has_any(source, OF_THE_WORLD))
    return source


def _has_any(source: Source, names: tuple[str, ...]) -> bool:
    # One that does not tell its fields has no records that say anything.
    return not source.fields or any(name in source.fields for name in names)


def _type_of(source: Source) -> str:
    """Return what a file calls itself."""
    return source.type_name or source.name


def _opened(path: Path, deadline: Deadline) -> MmdbProvider:
    """Return a provider of one file, opened when it is verified; ends at the deadline."""
    provider = MmdbProvider([path])
    with waiting_for_verification(0.0):
        while True:
            try:
                provider.build()
            except NotVerifiedYet:
                deadline.check()
                time.sleep(POLL_SECONDS)
            else:
                return provider


def _is_of_the_future(source: Source) -> bool:
    return source.built_at is not None and source.built_at > datetime.now(UTC) + FUTURE


def _refuse_step_back(source: Source, held: Source, size: int, held_size: int) -> None:
    is_older = source.built_at and held.built_at and source.built_at < held.built_at
    if is_older and not _is_of_the_future(held):
        raise UpdateError(f"what came is of {source.built_at:%Y-%m-%d}, older than the present one")
    if 2 * size < held_size:
        raise UpdateError(
            f"what came has {size:,} bytes, less than half of the present one; "
            "delete that first if this is right"
        )


def _ask(provider: MmdbProvider, *, is_of_the_world: bool) -> None:
    try:
        for address in SPREAD:
            provider.resolve(address)
        found = [[bool(provider.resolve(one)) for one in family] for family in KNOWN]
    except ProviderError as error:
        raise UpdateError("what came is damaged inside; try again") from error
    if is_of_the_world and not any(2 * sum(family) >= len(family) for family in found):
        raise UpdateError("what came does not know the best-known addresses")
