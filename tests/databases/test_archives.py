import gzip
import io
import tarfile
import time
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
        gzip.compress(b"database"),
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
        unpacked(tmp_path, gzip.compress(b"\0" * 10_000_000))
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
