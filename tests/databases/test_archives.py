import gzip
import io
import tarfile
import time
import tracemalloc
from pathlib import Path

import pytest

from geocache.databases.archives import unpack
from geocache.downloads.limits import Deadline
from geocache.exceptions import UpdateError
from tests.support.database_server import a_tar


def unpacked(folder: Path, data: bytes) -> bytes:
    (folder / "archive").write_bytes(data)
    unpack(folder / "archive", folder / "database", Deadline(time.monotonic() + 600))
    return (folder / "database").read_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"database",
        gzip.compress(b"database", mtime=0),
        a_tar(b"database"),
        gzip.decompress(a_tar(b"database")),
    ],
    ids=["plain", "gz", "tar.gz", "tar"],
)
def test_unpack__tells_the_form_by_the_bytes(tmp_path: Path, data: bytes) -> None:
    assert unpacked(tmp_path, data) == b"database"


def test_unpack__names_in_an_archive_lead_nowhere(tmp_path: Path) -> None:
    assert unpacked(tmp_path, a_tar(b"database", "../../evil.mmdb")) == b"database"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "database"]


def test_unpack__link_in_an_archive_is_not_followed(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        link = tarfile.TarInfo("city.mmdb")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(UpdateError):
        unpacked(tmp_path, made.getvalue())


def test_unpack__archive_without_a_database(tmp_path: Path) -> None:
    with pytest.raises(UpdateError, match=r"holds no \.mmdb file"):
        unpacked(tmp_path, a_tar(b"text", "city.csv"))


def test_unpack__bomb_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocache.downloads.limits.MAX_BYTES", 100_000)
    with pytest.raises(UpdateError, match="that is no database"):
        unpacked(tmp_path, gzip.compress(b"\0" * 10_000_000, mtime=0))
    assert (tmp_path / "database").stat().st_size <= 100_000


@pytest.mark.parametrize("cut", [-1, -9, 20])
def test_unpack__cut_off(tmp_path: Path, cut: int) -> None:
    for data in (gzip.compress(bytes(range(256)) * 50), a_tar(b"database")):
        with pytest.raises(UpdateError):
            unpacked(tmp_path, data[:cut])


def test_unpack__damaged(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(bytes(range(256)) * 50))
    data[-8] ^= 1
    with pytest.raises(UpdateError, match="damaged or cut off"):
        unpacked(tmp_path, bytes(data))


def a_hostile_tar(*members: tuple[bytes, int], count: int = 1) -> bytes:
    """A compressed archive of headers by type and size, each followed by zeros of that size."""
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=1) as packed:
        for _ in range(count):
            for kind, size in members:
                member = tarfile.TarInfo("a")
                member.type, member.size = kind, size
                packed.write(member.tobuf(tarfile.GNU_FORMAT))
                for _ in range(-(-size // 2**20)):
                    packed.write(b"0" * min(size, 2**20))
    return made.getvalue()


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.DIRTYPE,
        b"?",
    ],
)
def test_unpack__header_of_megabytes_is_not_read_into_memory(tmp_path: Path, kind: bytes) -> None:
    data = a_hostile_tar((kind, 200 * 2**20))
    tracemalloc.start()
    try:
        with pytest.raises(UpdateError):
            unpacked(tmp_path, data)
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


def a_sparse_header(*, has_more: bool) -> bytes:
    """The header of a file without content that is 8 GiB long."""
    made = bytearray(tarfile.TarInfo("a.mmdb").tobuf(tarfile.GNU_FORMAT))
    made[156:157], made[482], made[483:495] = tarfile.GNUTYPE_SPARSE, has_more, b"77777777777\0"
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def test_unpack__sparse_file_is_no_database(tmp_path: Path) -> None:
    data = a_sparse_header(has_more=False) + bytes(1024)
    with pytest.raises(UpdateError, match=r"holds no \.mmdb file"):
        unpacked(tmp_path, gzip.compress(data, mtime=0))
    assert not (tmp_path / "database").exists()


def test_unpack__sparse_map_without_an_end_is_not_read(tmp_path: Path) -> None:
    first = a_sparse_header(has_more=True)
    # Each says that one more follows.
    further = b"00000000001\0" * 42 + b"\x01" + b"\0" * 7
    assert len(further) == 512
    with pytest.raises(UpdateError, match="headers that are too long"):
        unpacked(tmp_path, gzip.compress(first + further * 20_000, mtime=0))


def test_unpack__millions_of_members_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(UpdateError, match="more than 1,000 members"):
        unpacked(tmp_path, a_hostile_tar((tarfile.REGTYPE, 0), count=2_000))


def test_unpack__headers_in_headers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UpdateError):
        unpacked(tmp_path, a_hostile_tar((tarfile.XGLTYPE, 0), count=2_000))


def test_unpack__large_member_before_the_database_is_passed_over(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, data in (("a.csv", bytes(5 * 2**20)), ("a.mmdb", b"database")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    assert unpacked(tmp_path, made.getvalue()) == b"database"


@pytest.mark.parametrize(
    "data",
    [
        b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 50_000_000,
        gzip.compress(b"", mtime=0) * 2_000_000,
    ],
    ids=["name", "members"],
)
def test_unpack__what_gzip_reads_in_one_go_ends_at_the_deadline(
    tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "archive").write_bytes(data)
    began = time.monotonic()
    with pytest.raises(UpdateError, match="not done within UPDATE_TIME_LIMIT_SECONDS"):
        unpack(tmp_path / "archive", tmp_path / "database", Deadline(began + 0.3))
    assert time.monotonic() - began < 3
