"""From a download to a database file: as it is, compressed, or inside an archive."""

import gzip
import tarfile
import zlib
from pathlib import Path
from typing import IO, Final, Protocol, cast

from geocache.downloads.limits import CHUNK_BYTES, Deadline, check_size
from geocache.exceptions import UpdateError

GZIP: Final = b"\x1f\x8b"
# Where a tar archive says that it is one.
TAR_OFFSET: Final = 257
TAR: Final = b"ustar"
# An archive of one database has a few members with short names. What stands before a member, such
# as a long name, tarfile reads whole into memory.
MAX_HEADER_BYTES: Final = 2**18
MAX_MEMBERS: Final = 1_000


class Readable(Protocol):
    """What ``read`` can be called of."""

    def read(self, size: int = -1, /) -> bytes: ...


class LimitedStream:
    """A stream that ends with ``UpdateError`` at the deadline, and beyond the size of any database.

    ``remaining_header_bytes`` is how much may be read as headers; None: this is not a header.
    """

    def __init__(self, stream: Readable, deadline: Deadline) -> None:
        self.stream = stream
        self.deadline = deadline
        self.byte_count = 0
        self.remaining_header_bytes: int | None = None

    def read(self, size: int = -1, /) -> bytes:
        """Read up to ``size`` bytes."""
        self.deadline.check()
        data = self.stream.read(size)
        self.byte_count += len(data)
        check_size(self.byte_count)
        if self.remaining_header_bytes is not None:
            self.remaining_header_bytes -= len(data)
            if self.remaining_header_bytes < 0:
                raise UpdateError("the archive has headers that are too long for one of a database")
        return data


def unpack(archive: Path, target: Path, deadline: Deadline) -> None:
    """Write the database in ``archive`` to ``target``; its form is told by its bytes.

    Raises ``UpdateError`` when it is damaged, larger than any database, or holds none.
    """
    try:
        with archive.open("rb") as file:
            is_tar = _head(_unzipped(file, deadline))[TAR_OFFSET:] == TAR
            file.seek(0)
            stream = _unzipped(file, deadline)
            if is_tar:
                _from_tar(stream, target)
            else:
                _copy(stream, target)
    # The last for headers in headers in headers.
    except (EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError, RecursionError) as error:
        raise UpdateError("the download is damaged or cut off; try again") from error


def _unzipped(file: IO[bytes], deadline: Deadline) -> LimitedStream:
    is_compressed = file.read(len(GZIP)) == GZIP
    file.seek(0)
    # Also below gzip, which looks for the end of a name, or of members without content, in one go.
    packed = LimitedStream(file, deadline)
    unpacked = gzip.GzipFile(fileobj=cast(IO[bytes], packed)) if is_compressed else packed
    return LimitedStream(unpacked, deadline)


def _head(stream: LimitedStream) -> bytes:
    return stream.read(TAR_OFFSET + len(TAR))


def _from_tar(stream: LimitedStream, target: Path) -> None:
    # Nothing is written under a name from the archive, nor links made.
    stream.remaining_header_bytes = MAX_HEADER_BYTES
    with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as archive:
        for number, member in enumerate(archive):
            if number >= MAX_MEMBERS:
                raise UpdateError(f"the archive has more than {MAX_MEMBERS:,} members")
            stream.remaining_header_bytes = None
            # Of a sparse file tarfile makes up as many zeros as its header says.
            is_plain = member.isreg() and not member.issparse()
            file = archive.extractfile(member) if is_plain else None
            if file and member.name.endswith(".mmdb"):
                _copy(file, target)
                break
            if file:
                # Read here: for the next header tarfile would count it as part of that.
                _drain(file)
            stream.remaining_header_bytes = MAX_HEADER_BYTES
        else:
            raise UpdateError("the archive holds no .mmdb file")
    # The checksum of what was compressed stands at its end.
    _drain(stream)


def _copy(stream: Readable, target: Path) -> None:
    with target.open("wb") as file:
        while chunk := stream.read(CHUNK_BYTES):
            file.write(chunk)


def _drain(stream: Readable) -> None:
    while stream.read(CHUNK_BYTES):
        pass
