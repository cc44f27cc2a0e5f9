"""From a download to a database file: as it is, compressed, or inside an archive."""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

from geocache.downloads.limits import CHUNK_BYTES, Deadline, check_size
from geocache.exceptions import UpdateError

GZIP: Final = b"\x1f\x8b"
# Where a tar archive says that it is one.
TAR_OFFSET: Final = 257
TAR: Final = b"ustar"


def unpack(archive: Path, target: Path, deadline: Deadline) -> None:
    """Write the database in ``archive`` to ``target``; its form is told by its bytes.

    Raises ``UpdateError`` when it is damaged or holds none.
    """
    with archive.open("rb") as file:
        is_compressed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        stream = cast(IO[bytes], gzip.GzipFile(fileobj=file) if is_compressed else file)
        try:
            head = stream.read(TAR_OFFSET + len(TAR))
            stream.seek(0)
            if head[TAR_OFFSET:] == TAR:
                _from_tar(stream, target, deadline)
            else:
                _copy(stream, target, deadline)
        except (EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError) as error:
            raise UpdateError("the download is damaged or cut off; try again") from error


def _from_tar(stream: IO[bytes], target: Path, deadline: Deadline) -> None:
    # Nothing is written under a name from the archive, nor links made.
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            deadline.check()
            if member.name.endswith(".mmdb") and (file := archive.extractfile(member)):
                _copy(file, target, deadline)
                break
        else:
            raise UpdateError("the archive holds no .mmdb file")
    # The checksum of what was compressed stands at its end.
    _drain(stream, deadline)


def _copy(stream: IO[bytes], target: Path, deadline: Deadline) -> None:
    with target.open("wb") as file:
        for chunk in _chunks(stream, deadline):
            file.write(chunk)


def _drain(stream: IO[bytes], deadline: Deadline) -> None:
    for _ in _chunks(stream, deadline):
        pass


def _chunks(stream: IO[bytes], deadline: Deadline) -> Iterator[bytes]:
    count = 0
    while chunk := stream.read(CHUNK_BYTES):
        deadline.check()
        count += len(chunk)
        check_size(count)
        yield chunk
