"""Without a server: a client and an ``nft`` that answer from files, and note their calls."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core import checks

from geocache.bans.fail2ban import CALL_ENTRIES, Fail2banAction
from geocache.exceptions import NotInForce

pytestmark = pytest.mark.slow

CLIENT = """\
#!/usr/bin/env python3
import os, pathlib, sys
folder = pathlib.Path({folder!r})
with (folder / "calls.txt").open("a") as calls:
    calls.write(" ".join(sys.argv[1:])[:80] + "\\n")
kept = folder / "banned.txt"
banned = set(kept.read_text().split()) if kept.exists() else set()
words = sys.argv[1:]
if words[0] == "set":
    banned = banned | set(words[3:]) if words[2] == "banip" else banned - set(words[3:])
    kept.write_text(" ".join(banned))
elif words[2] == "banip":
    print(" ".join(banned))
elif words[2] == "actions":
    print("The jail geocache has the following actions:\\nblocking")
else:
    found = folder / (words[4] + ".txt")
    if not found.exists():
        sys.exit("no such property")
    print(found.read_text())
"""
NFT = """\
#!/bin/sh
echo nft >> {folder}/calls.txt
cat {folder}/nft.json
"""
ACTIONS = {
    "actionban": "nft add element inet f2b-table addr-set-geocache \\{ <ip> \\}",
    "actionstart": "nft add set inet f2b-table x \\{ type ipv4_addr\\; flags interval\\; \\}",
}
Hold = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("client", CLIENT), ("nft", NFT)):
        (tmp_path / name).write_text(text.format(folder=str(tmp_path)))
        (tmp_path / name).chmod(0o755)
    for name, text in ACTIONS.items():
        (tmp_path / f"{name}.txt").write_text(text)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


@pytest.fixture
def hold(folder: Path) -> Hold:
    """Have the set of the firewall hold these, whatever is banned."""

    def write(*elements: object) -> None:
        found = {"nftables": [{"set": {"name": "addr-set-geocache", "elem": list(elements)}}]}
        (folder / "nft.json").write_text(json.dumps(found))

    write()
    return write


@pytest.fixture
def action(folder: Path) -> Fail2banAction:
    return Fail2banAction(jail="geocache", client=str(folder / "client"))


def calls(folder: Path, what: str) -> int:
    lines = (folder / "calls.txt").read_text().splitlines()
    return sum(line.startswith(what) for line in lines)


def test_ban__of_a_batch_reads_the_set_once(
    action: Fail2banAction, folder: Path, hold: Hold
) -> None:
    hold({"prefix": {"addr": "10.0.0.0", "len": 8}})
    action.ban([f"10.0.{n >> 8}.{n & 255}" for n in range(action.batch_size)])
    assert calls(folder, "nft") == 1
    assert calls(folder, "set geocache banip") == action.batch_size // CALL_ENTRIES


def test_ban__that_the_set_lacks_is_tried_once_more_and_named(
    action: Fail2banAction, folder: Path, hold: Hold
) -> None:
    hold("9.9.9.9")
    with pytest.raises(NotInForce) as caught:
        action.ban(["9.9.9.9", "1.0.0.0/24", "1.0.0.1", "not-an-address"])
    assert caught.value.entries == {"1.0.0.0/24", "1.0.0.1"}
    assert str(caught.value).startswith(
        "jail geocache, action blocking: the firewall lacks 2 of its bans (1.0.0.0/24, 1.0.0.1); "
    )
    assert calls(folder, "set geocache banip") == 2
    # fail2ban says no more than the firewall does.
    kept = (folder / "banned.txt").read_text().split()
    assert sorted(kept) == ["9.9.9.9", "not-an-address"]


def test_ban__inside_of_what_the_set_holds_is_in_force(action: Fail2banAction, hold: Hold) -> None:
    hold({"range": ["9.9.8.0", "9.9.9.255"]})
    action.ban(["9.9.9.9", "9.9.9.0/24", "9.9.8.0/23"])


@pytest.mark.parametrize("said", ["", "not JSON", "{}"])
def test_ban__firewall_that_cannot_be_read_is_believed(
    action: Fail2banAction, folder: Path, said: str
) -> None:
    (folder / "nft.json").write_text(said)
    action.ban(["9.9.9.9"])
    assert action.is_in_force()


def test_ban__by_an_action_that_is_not_known_is_believed(
    action: Fail2banAction, folder: Path
) -> None:
    (folder / "actionban.txt").write_text("echo <ip>")
    action.ban(["9.9.9.9", "1.0.0.0/24"])
    assert calls(folder, "nft") == 0
    assert action.takes("1.0.0.0/24")


def test_takes__no_network_where_the_set_has_no_intervals(
    action: Fail2banAction, folder: Path
) -> None:
    (folder / "actionstart.txt").write_text("nft add set inet f2b-table x { type ipv4_addr; }")
    assert action.takes("9.9.9.9")
    assert not action.takes("9.9.9.0/24")
    assert not action.takes("2620:fe::/48")


def found_by_check(settings: Any, **options: Any) -> list[str]:
    action = {"BACKEND": "geocache.bans.fail2ban.Fail2banAction", "OPTIONS": options}
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": action}
    return [one.msg for one in checks.run_checks() if one.id == "geocache.W040"]


@pytest.mark.parametrize(
    ("start", "problem"),
    [
        (ACTIONS["actionstart"], ""),
        ("nft add set inet f2b-table x { type ipv4_addr; }", "takes no networks"),
        ("nft add set x { flags interval; auto-merge; }", "has auto-merge"),
    ],
)
def test_check_ban_action__names_the_action(
    folder: Path, settings: Any, start: str, problem: str
) -> None:
    (folder / "actionstart.txt").write_text(start)
    found = found_by_check(settings, jail="geocache", client=str(folder / "client"))
    assert len(found) == bool(problem)
    assert all(f"The action blocking of the jail geocache {problem}" in one for one in found)


@pytest.mark.parametrize("script", ["exit 255", "exec sleep 60"])
def test_check_ban_action__server_that_is_away_takes_no_time(
    tmp_path: Path, settings: Any, script: str
) -> None:
    client = tmp_path / "away"
    client.write_text(f"#!/bin/sh\n{script}\n")
    client.chmod(0o755)
    started = time.monotonic()
    assert found_by_check(settings, jail="geocache", client=str(client)) == []
    assert found_by_check(settings, jail="geocache", client=str(tmp_path / "none")) == []
    assert time.monotonic() - started < 10
