import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from geocache.bans.nftables import NftablesAction
from geocache.exceptions import BanError
from tests.conftest import require
from tests.factories import use_dummy_provider
from tests.support.ban_actions import use_action
from tests.support.blocklists import imported

ENTRIES = ["1.1.1.1", "1.1.1.0/24", "5.6.7.8", "2a02:6b8::/32", "2a02:6b8::1"]
# A network of its own, so that a check needs no rights to this machine's.
NFT = ["unshare", "--net", "nft"]


@pytest.fixture
def nft() -> list[str]:
    is_there = bool(shutil.which("nft") and shutil.which("unshare"))
    works = is_there and not subprocess.run([*NFT, "list", "ruleset"], check=False).returncode
    require(works, "nft in a network namespace of its own")
    return NFT


@pytest.mark.slow
def test_nftables__file_is_valid_and_can_be_applied_again(tmp_path: Path, nft: list[str]) -> None:
    path = tmp_path / "blocked.nft"
    NftablesAction(path=str(path)).replace(iter(ENTRIES))
    subprocess.run([*nft, "-c", "-f", str(path)], check=True)
    twice = f"nft -f {path} && nft -f {path} && nft list ruleset"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", twice], check=True, capture_output=True, text=True
    )
    assert "elements = { 1.1.1.0/24, 5.6.7.8 }" in done.stdout
    assert "elements = { 2a02:6b8::/32 }" in done.stdout


def test_nftables__removes_what_killed_processes_have_left(tmp_path: Path) -> None:
    left, young, other = (tmp_path / f".{name}" for name in ("b.nft.x.part", "b.nft.y.part", "b.z"))
    for path in (left, young, other):
        path.touch()
    for path in (left, other):
        os.utime(path, (1, 1))
    NftablesAction(path=str(tmp_path / "b.nft")).replace(ENTRIES)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.nft.y.part", ".b.z", "b.nft"]


def test_nftables__replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "blocked.nft"
    action = NftablesAction(path=str(path), table="ip mine")
    action.replace(ENTRIES)
    action.replace(["9.9.9.9"])
    text = path.read_text()
    assert text.endswith(
        "flush set ip mine blocked4\nflush set ip mine blocked6\n"
        "add element ip mine blocked4 { 9.9.9.9 }\n"
    )
    assert [one.name for one in tmp_path.iterdir()] == ["blocked.nft"]


def test_nftables__what_is_not_applied_does_not_take_the_place(tmp_path: Path) -> None:
    path = tmp_path / "blocked.nft"
    NftablesAction(path=str(path)).replace(["1.1.1.1"])
    before = path.read_text()
    failing = [sys.executable, "-c", "import sys; sys.exit('syntax error')"]
    with pytest.raises(BanError, match="syntax error"):
        NftablesAction(path=str(path), command=failing).replace(["2.2.2.2"])
    assert path.read_text() == before
    assert [one.name for one in tmp_path.iterdir()] == ["blocked.nft"]


def test_nftables__folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BanError, match="cannot be written: No such file"):
        NftablesAction(path=str(tmp_path / "none" / "a.nft")).replace([])


@pytest.mark.django_db
def test_nftables__with_an_import(tmp_path: Path, settings: Any) -> None:
    use_dummy_provider(settings)
    path = tmp_path / "blocked.nft"
    use_action(settings, "geocache.bans.nftables.NftablesAction", path=str(path))
    imported("1.1.1.1", "127.0.0.1")
    assert "{ 1.1.1.1 }" in path.read_text()
    assert "127.0.0.1" not in path.read_text()
    imported("2.2.2.2")
    assert "1.1.1.1" not in path.read_text()
