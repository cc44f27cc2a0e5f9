import json
import os
import shutil
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from ipaddress import ip_address, ip_network, summarize_address_range
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis.strategies import ip_addresses, lists

from geocache.bans import apply as bans
from geocache.bans.nftables import NftablesAction
from geocache.exceptions import BanError
from geocache.models import ImportSource
from tests.conftest import require
from tests.factories import use_dummy_provider
from tests.support.ban_actions import many_entries, use_action
from tests.support.blocklists import imported

pytestmark = pytest.mark.any_services

ENTRIES = ["1.1.1.1", "1.1.1.0/24", "5.6.7.8", "2a02:6b8::/32", "2a02:6b8::1"]


@pytest.fixture
def nft() -> Iterator[list[str]]:
    """``nft`` in a network namespace of its own, which needs no rights to this machine's."""
    require(bool(shutil.which("nft") and shutil.which("nsenter")), "nft")
    with subprocess.Popen(["unshare", "--net", "sleep", "600"]) as holder:
        try:
            command = ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "nft"]
            works = False
            for _ in range(50):
                time.sleep(0.05)
                namespaces = {
                    Path(f"/proc/{pid}/ns/net").readlink() for pid in ("self", holder.pid)
                }
                if len(namespaces) == 2:
                    works = not subprocess.run([*command, "list", "chains"], check=False).returncode
                    break
            require(works, "nft in a network namespace of its own")
            yield command
        finally:
            holder.kill()


def elements(nft: list[str], name: str, table: str = "inet geocache") -> list[str]:
    """Return what a set of the kernel holds."""
    done = subprocess.run(
        [*nft, "-j", "list", "set", *table.split(), name], check=True, capture_output=True
    )
    (found,) = [one["set"] for one in json.loads(done.stdout)["nftables"] if "set" in one]
    return sorted(map(_text, found.get("elem", [])))


def _text(element: Any) -> str:
    if isinstance(element, str):
        return element
    if "prefix" in element:
        return f"{element['prefix']['addr']}/{element['prefix']['len']}"
    return "-".join(element["range"])


@pytest.mark.slow
def test_nftables__file_is_valid_and_can_be_applied_again(tmp_path: Path, nft: list[str]) -> None:
    path = tmp_path / "blocked.nft"
    NftablesAction(path=str(path)).replace(iter(ENTRIES))
    for _ in range(2):
        subprocess.run([*nft, "-f", str(path)], check=True)
    assert elements(nft, "blocked4") == ["1.1.1.0/24", "5.6.7.8"]
    assert elements(nft, "blocked6") == ["2a02:6b8::/32"]


@pytest.mark.slow
@pytest.mark.parametrize("entries", [[], ["1.1.1.1"], ["2a02:6b8::1"]])
def test_nftables__sets_may_be_empty(tmp_path: Path, nft: list[str], entries: list[str]) -> None:
    action = NftablesAction(path=str(tmp_path / "b.nft"), command=[*nft, "-f"])
    action.replace(["9.9.9.9", "2a02:6b8::9"])
    action.replace(entries)
    assert elements(nft, "blocked4") + elements(nft, "blocked6") == entries


@pytest.mark.slow
@settings_of_hypothesis(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(lists(ip_addresses(v=4, network="16.0.0.0/4") | ip_addresses(v=6, network="2a00::/12")))
def test_nftables__the_kernel_has_what_was_given(
    tmp_path: Path, nft: list[str], found: list[Any]
) -> None:
    action = NftablesAction(path=str(tmp_path / "b.nft"), command=[*nft, "-f"])
    action.replace(map(str, found))
    held = [*elements(nft, "blocked4"), *elements(nft, "blocked6")]
    # Neighbours are merged: sets of single addresses are compared.
    assert {one for text in held for one in _addresses(text)} == set(found)


def _addresses(text: str) -> Iterator[Any]:
    first, _, last = text.partition("-")
    if last:
        for network in summarize_address_range(ip_address(first), ip_address(last)):
            yield from network
    else:
        yield from ip_network(text)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["inet geocache", "mine"])
def test_is_in_force__not_after_the_kernel_has_lost_the_sets(
    tmp_path: Path, nft: list[str], table: str
) -> None:
    action = NftablesAction(path=str(tmp_path / "b.nft"), command=[*nft, "-f"], table=table)
    assert not action.is_in_force()
    action.replace(["9.9.9.9"])
    assert action.is_in_force()
    subprocess.run([*nft, "flush", "ruleset"], check=True)
    assert not action.is_in_force()


@pytest.mark.parametrize("command", [[], ["/nowhere/nft", "-f"], ["/usr/local/bin/reload"]])
def test_is_in_force__what_cannot_be_told_is(tmp_path: Path, command: list[str]) -> None:
    assert NftablesAction(path=str(tmp_path / "b.nft"), command=command).is_in_force()


@pytest.mark.slow
@pytest.mark.django_db
def test_nftables__lost_sets_come_back_with_the_next_look(
    tmp_path: Path, nft: list[str], settings: Any
) -> None:
    use_dummy_provider(settings)
    path, command = str(tmp_path / "b.nft"), [*nft, "-f"]
    use_action(settings, "geocache.bans.nftables.NftablesAction", path=path, command=command)
    imported("9.9.9.9", "10.0.0.1")
    assert not bans.are_due()
    subprocess.run([*nft, "flush", "ruleset"], check=True)
    assert bans.are_due()
    assert bans.apply_bans().repeated == 1
    assert elements(nft, "blocked4") == ["9.9.9.9"]
    # What was taken out by hand only the command puts back.
    subprocess.run([*nft, "flush", "set", "inet", "geocache", "blocked4"], check=True)
    assert not bans.are_due()
    assert bans.apply_bans(is_repeated=True).repeated == 1
    assert elements(nft, "blocked4") == ["9.9.9.9"]


@pytest.mark.slow
def test_nftables__500_000_entries_load_in_time(tmp_path: Path, nft: list[str]) -> None:
    action = NftablesAction(path=str(tmp_path / "b.nft"), command=[*nft, "-f"])
    started = time.monotonic()
    action.replace(many_entries(500_000))
    # docs/blocklists.md has the figure, of which this is a multiple: other work may go on here.
    assert time.monotonic() - started < 60


@pytest.mark.slow
def test_nftables__memory_is_flat(tmp_path: Path) -> None:
    tracemalloc.start()
    NftablesAction(path=str(tmp_path / "b.nft")).replace(many_entries(50_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**21


@pytest.mark.slow
def test_nftables__failure_is_one_line(tmp_path: Path, nft: list[str]) -> None:
    action = NftablesAction(path=str(tmp_path / "b.nft"), command=[*nft, "-f"], table="no geocache")
    with pytest.raises(BanError) as failed:
        action.replace(many_entries(1_000))
    assert str(failed.value).startswith("nsenter has failed with exit code 1: ")
    assert "\n" not in str(failed.value)
    assert len(str(failed.value)) < 400


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


@pytest.mark.django_db
def test_nftables__what_a_killed_process_has_not_recorded_ends(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_dummy_provider(settings)
    path = tmp_path / "b.nft"
    use_action(settings, "geocache.bans.nftables.NftablesAction", path=str(path))

    def dying(_: list[str]) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bans, "record_bans", dying)
        with pytest.raises(KeyboardInterrupt):
            imported("9.9.9.9")
    assert "9.9.9.9" in path.read_text()
    ImportSource.objects.all().delete()
    bans.apply_due_bans()
    assert "9.9.9.9" not in path.read_text()
