from pathlib import Path

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
