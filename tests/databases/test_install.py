import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from geocache.databases import install


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put(folder: Path, text: str) -> None:
    target = folder / "city.mmdb"
    with install.draft(target) as path:
        path.write_text(text)
        install.install(path, target)


def test_install__keeps_the_last_one_only(tmp_path: Path) -> None:
    for text in ("1", "2", "3"):
        put(tmp_path, text)
    assert names(tmp_path) == ["city.mmdb", "city.mmdb.previous"]
    assert (tmp_path / "city.mmdb").read_text() == "3"
    assert (tmp_path / "city.mmdb.previous").read_text() == "2"


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS])
def test_install__needs_no_hard_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    refuse_links(monkeypatch, code)
    for text in ("1", "2", "3"):
        put(tmp_path, text)
    assert names(tmp_path) == ["city.mmdb", "city.mmdb.previous"]
    assert (tmp_path / "city.mmdb").read_text() == "3"
    assert (tmp_path / "city.mmdb.previous").read_text() == "2"


def test_install__without_room_for_a_copy_is_done_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_links(monkeypatch, errno.EPERM)
    put(tmp_path, "1")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    put(tmp_path, "2")
    assert names(tmp_path) == ["city.mmdb"]
    assert (tmp_path / "city.mmdb").read_text() == "2"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_install__over_a_file_of_another_user(tmp_path: Path) -> None:
    """By ``fs.protected_hardlinks`` nobody links to a file that belongs to another user."""
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(0o755)
    place = tmp_path / "databases"
    place.mkdir()
    os.chown(place, 65534, 65534)
    (place / "city.mmdb").write_text("1")
    program = (
        "import os, sys; from pathlib import Path; from geocache.databases import install;"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); target = Path(sys.argv[1]);\n"
        "with install.draft(target) as path: path.write_text('2'); install.install(path, target)"
    )
    subprocess.run([sys.executable, "-c", program, place / "city.mmdb"], check=True)
    assert names(place) == ["city.mmdb", "city.mmdb.previous"]
    assert (place / "city.mmdb").read_text() == "2"
    assert (place / "city.mmdb.previous").read_text() == "1"


def refuse_links(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.link", refuse)


def test_install__whoever_has_the_old_file_open_keeps_it(tmp_path: Path) -> None:
    put(tmp_path, "1")
    with (tmp_path / "city.mmdb").open() as held:
        put(tmp_path, "2")
        put(tmp_path, "3")
        assert held.read() == "1"


def test_draft__is_no_database_and_gone_afterwards(tmp_path: Path) -> None:
    with install.draft(tmp_path / "city.mmdb") as path:
        assert list(tmp_path.glob("*")) == [path]
        assert not list(tmp_path.glob("*.mmdb"))
    assert names(tmp_path) == []


def test_sweep__removes_what_is_unfinished_and_nothing_else(tmp_path: Path) -> None:
    for name in (".city.mmdb.x1.part", ".lock", "city.mmdb", "city.mmdb.previous", "mine.part"):
        (tmp_path / name).write_text("")
    install.sweep(tmp_path)
    assert names(tmp_path) == [".lock", "city.mmdb", "city.mmdb.previous", "mine.part"]
