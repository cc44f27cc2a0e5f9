"""Bans of the real fail2ban in the sets of the real nftables, in a network of their own."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geocache.bans.fail2ban import Fail2banAction
from geocache.exceptions import ImportFailed
from geocache.models import Ban
from tests.conftest import require
from tests.factories import use_dummy_provider
from tests.support.ban_actions import use_action
from tests.support.blocklists import imported
from tests.support.fail2ban_server import JAIL, Jail, a_jail, has_networks

pytestmark = [pytest.mark.any_services, pytest.mark.slow, pytest.mark.django_db]

LOSSY = """\
[INCLUDES]
before = nftables-geocache.conf

[Definition]
add = <nftables> add element <table_family> <table> <addr_set> \\{ <ip> \\}
actionban = { echo <ip> | grep -q 9.9.9; } || %(add)s
"""
IPSET = """\
[Definition]
actionstart = ipset -exist create <ipmset> hash:net <familyopt>
actionban = ipset -exist add <ipmset> <ip>
actionunban = ipset -exist del <ipmset> <ip>

[Init]
ipmset = f2b-<name>
familyopt =

[Init?family=inet6]
ipmset = f2b-<name>6
familyopt = family inet6
"""
PATH = "geocache.bans.fail2ban.Fail2banAction"
ACTION = "nftables-geocache[name=geocache]"
DOCUMENT = Path(__file__).parents[2] / "docs" / "blocklists.md"


def documented_action() -> str:
    """Return the file of the action that the document tells to make."""
    found = re.search(
        r"```ini\n(# action\.d/nftables-geocache\.conf\n.*?)```", DOCUMENT.read_text(), re.DOTALL
    )
    assert found
    return found[1]


def a_server(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[Jail]:
    require(has_networks(), "network namespaces with nftables")
    with a_jail(folder, in_network=True, **options) as running:
        monkeypatch.setenv("PATH", running.path_of_tools())
        yield running


@pytest.fixture
def documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jail]:
    """The jail that the document has."""
    files = {"action.d/nftables-geocache.conf": documented_action()}
    yield from a_server(tmp_path, monkeypatch, action=ACTION, files=files)


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jail]:
    """A jail with the action as it comes along: without intervals before fail2ban 1.1.1."""
    yield from a_server(tmp_path, monkeypatch, action="nftables-allports[name=geocache]")


@pytest.fixture
def merging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jail]:
    """A jail whose set puts networks together: nft 1.0.6 then deletes no part of them."""
    text = documented_action().replace(r"flags interval\;", r"flags interval\; auto-merge\;")
    files = {"action.d/nftables-geocache.conf": text}
    yield from a_server(tmp_path, monkeypatch, action=ACTION, files=files)


def action_for(jail: Jail) -> Fail2banAction:
    return Fail2banAction(jail=JAIL, socket=jail.socket)


def in_set(jail: Jail, address: str) -> bool:
    """Ask the firewall itself whether a packet from there would meet the set."""
    name = "addr6-set-geocache" if ":" in address else "addr-set-geocache"
    try:
        jail.run("nft", "get", "element", "inet", "f2b-table", name, f"{{ {address} }}")
    except subprocess.CalledProcessError:
        return False
    return True


def test_documented_jail__takes_networks_of_both_versions(documented: Jail) -> None:
    action = action_for(documented)
    assert action.problem() == ""
    action.ban(["149.112.112.0/24", "208.67.222.222", "2620:fe::fe", "2a02:6b8::/32"])
    for address in ("149.112.112.77", "208.67.222.222", "2620:fe::fe", "2a02:6b8:1::1"):
        assert in_set(documented, address)
    assert not in_set(documented, "149.112.113.1")
    action.unban(["149.112.112.0/24", "2a02:6b8::/32"])
    assert not in_set(documented, "149.112.112.77")
    assert not in_set(documented, "2a02:6b8:1::1")
    assert in_set(documented, "208.67.222.222")


def test_documented_jail__of_networks_that_overlap_each_is_banned_by_itself(
    documented: Jail,
) -> None:
    jail, action = documented, action_for(documented)
    action.ban(["1.0.0.1"])
    action.ban(["1.0.0.0/24", "9.9.9.0/24", "9.9.9.9", "9.9.8.0/24"])
    for address in ("1.0.0.1", "1.0.0.77", "9.9.9.9", "9.9.9.77", "9.9.8.1"):
        assert in_set(jail, address)
    action.unban(["9.9.9.0/24", "1.0.0.1"])
    assert in_set(jail, "9.9.9.9")
    assert not in_set(jail, "9.9.9.77")
    assert in_set(jail, "1.0.0.1")
    assert in_set(jail, "1.0.0.77")
    assert in_set(jail, "9.9.8.1")
    action.unban(["9.9.9.9", "1.0.0.0/24"])
    assert not in_set(jail, "9.9.9.9")
    assert not in_set(jail, "1.0.0.1")


def test_plain_jail__is_not_given_networks(plain: Jail, settings: Any) -> None:
    if not action_for(plain).problem():
        pytest.skip("this fail2ban takes networks")
    use_dummy_provider(settings)
    use_action(settings, PATH, jail=JAIL, socket=plain.socket)
    imported("149.112.112.0/24", "208.67.222.222")
    assert plain.banned() == ["208.67.222.222"]
    assert list(Ban.objects.values_list("entry", flat=True)) == ["208.67.222.222"]
    assert in_set(plain, "208.67.222.222")
    assert "takes no networks" in action_for(plain).problem()


def test_jail__whose_firewall_was_emptied_is_filled_again(plain: Jail) -> None:
    action = action_for(plain)
    action.ban(["9.9.9.9", "1.0.0.1"])
    assert action.is_in_force()
    plain.run("nft", "flush", "set", "inet", "f2b-table", "addr-set-geocache")
    assert not in_set(plain, "9.9.9.9")
    assert not action_for(plain).is_in_force()
    action.ban(["208.67.222.222"])
    assert in_set(plain, "9.9.9.9")
    assert in_set(plain, "1.0.0.1")
    assert action_for(plain).is_in_force()


def test_jail__whose_firewall_has_lost_its_sets_is_filled_again(documented: Jail) -> None:
    action = action_for(documented)
    action.ban(["9.9.9.9", "1.0.0.0/24", "2620:fe::fe"])
    documented.run("nft", "flush", "ruleset")
    assert not action_for(documented).is_in_force()
    action.ban(["9.9.9.9", "1.0.0.0/24", "2620:fe::fe"])
    for address in ("9.9.9.9", "1.0.0.77", "2620:fe::fe"):
        assert in_set(documented, address)
    assert "ip saddr @addr-set-geocache drop" in documented.run("nft", "list", "ruleset")
    assert action_for(documented).is_in_force()


def test_merging_jail__is_said_not_to_end_bans(merging: Jail) -> None:
    assert "auto-merge" in action_for(merging).problem()


def test_jail__ban_that_the_firewall_refuses_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """The action loses one address without saying so."""
    files = {"action.d/nftables-geocache.conf": documented_action(), "action.d/lossy.conf": LOSSY}
    use_dummy_provider(settings)
    for jail in a_server(tmp_path, monkeypatch, action="lossy[name=geocache]", files=files):
        use_action(settings, PATH, jail=JAIL, socket=jail.socket)
        with pytest.raises(ImportFailed) as caught:
            imported("208.67.222.222", "9.9.9.9", "1.0.0.1")
        assert "the firewall lacks 1 of its bans (9.9.9.9)" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert set(Ban.objects.values_list("entry", flat=True)) == {"1.0.0.1", "208.67.222.222"}
        assert jail.banned() == ["1.0.0.1", "208.67.222.222"]


def test_ipset_jail__of_networks_is_compared_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"action.d/networks.conf": IPSET}
    for jail in a_server(tmp_path, monkeypatch, action="networks[name=geocache]", files=files):
        try:
            jail.run("ipset", "create", "tried", "hash:net")
        except (subprocess.CalledProcessError, FileNotFoundError):
            pytest.skip("no ipset here")
        action = action_for(jail)
        assert action.takes("1.0.0.0/24")
        action.ban(["9.9.9.9", "1.0.0.0/24", "2620:fe::fe"])
        jail.run("ipset", "flush", "f2b-geocache")
        assert not action_for(jail).is_in_force()
        action.ban(["208.67.222.222"])
        held = jail.run("ipset", "save", "f2b-geocache")
        for entry in ("9.9.9.9", "1.0.0.0/24", "208.67.222.222"):
            assert f"add f2b-geocache {entry}\n" in held
