import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from geocache.bans import own_addresses
from geocache.bans.own_addresses import read_own_addresses

ROUTE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t01020906\t0003\t0\t0\t0\t00000000\t0\t0\t0
"""
IPV6_ROUTE = (
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "2a0206b8000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n"
)


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that takes the place of ``/proc/net`` and ``/etc``."""
    monkeypatch.setattr(own_addresses, "PROC", tmp_path)
    monkeypatch.setattr(own_addresses, "RESOLVERS", (tmp_path / "a.conf", tmp_path / "b.conf"))
    return tmp_path


def found() -> set[str]:
    return set(map(str, read_own_addresses().addresses))


def test_own_addresses__those_of_the_interfaces() -> None:
    assert "127.0.0.1" in found()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: the kernel only chooses the address to send from.
            probe.connect(("9.9.9.9", 53))
        except OSError:
            pytest.skip("no route here")
        assert probe.getsockname()[0] in found()


@pytest.mark.skipif("sys.byteorder != 'little'")
def test_own_addresses__gateways(proc: Path) -> None:
    (proc / "route").write_text(ROUTE)
    (proc / "ipv6_route").write_text(IPV6_ROUTE)
    assert {"6.9.2.1", "2a02:6b8::1"} <= found()


def test_own_addresses__resolvers(proc: Path) -> None:
    (proc / "a.conf").write_text("# nameserver 1.1.1.1\nnameserver\t127.0.0.53 \noptions edns0\n")
    (proc / "b.conf").write_text("nameserver 149.112.112.112\nnameserver fe80::9%eth0\n")
    assert {"127.0.0.53", "149.112.112.112", "fe80::9"} <= found()
    assert "1.1.1.1" not in found()


def test_own_addresses__those_among_the_allowed_hosts(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["geo.example", ".example", "*", "9.9.9.9", "[2a02:6b8::9]"]
    assert {"9.9.9.9", "2a02:6b8::9"} <= found()


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.conf", "nameserver here\n"), ("route", "Iface\neth0 0\n"), ("ipv6_route", "x y z - !\n")],
)
def test_own_addresses__what_cannot_be_read_is_said_and_left_out(
    proc: Path, name: str, text: str
) -> None:
    (proc / name).write_text(text)
    own = read_own_addresses()
    assert ip_address("127.0.0.1") in own.addresses
    (problem,) = own.problems
    assert "cannot be read" in problem
    assert "\n" not in problem
