"""What the real fail2ban has banned, read back from its log, from syslog and from its database."""

import random
import socket
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from geocache.blocklists.formats.base import Element, Found, Head, Options
from geocache.blocklists.formats.fail2ban import database as fail2ban_database
from geocache.blocklists.formats.fail2ban.log import Fail2banLog
from tests.support.fail2ban_server import JAIL, Jail, a_jail
from tests.support.formats import TextSource
from tests.support.processes import wait_until

pytestmark = pytest.mark.slow

LOG = Fail2banLog()
# What syslog puts in front, before it writes a line to a file.
PREFIXES = (
    "Jan  2 03:04:05 host ",
    "2026-01-02T03:04:05.123456+00:00 host ",
    "<29>Jan 02 03:04:05 fe80::1 ",
)
OTHERS = "Jan  2 03:04:05 host sshd[7]: Invalid user fail2ban[1]: [sshd] Ban 4.4.4.4\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jail]:
    with a_jail(tmp_path_factory.mktemp("f2b")) as running:
        yield running


def a_list(seed: int, *, count: int = 60) -> set[str]:
    """Return random addresses and networks, as fail2ban writes them."""
    chance = random.Random(seed)
    found: set[str] = set()
    while len(found) < count:
        if chance.random() < 0.3:
            number = (0x2A << 120) | chance.getrandbits(112)
            length = chance.choice([32, 48, 64, 128])
            network = IPv6Network((number >> (128 - length) << (128 - length), length))
            found.add(str(IPv6Address(number) if length == 128 else network))
        else:
            number = chance.randrange(0x01000000, 0x09000000)
            length = chance.choice([12, 24, 31, 32, 32, 32])
            block = IPv4Network((number >> (32 - length) << (32 - length), length))
            found.add(str(IPv4Address(number) if length == 32 else block))
    return found


def texts(found: Iterable[Found]) -> set[str]:
    rows = list(found)
    assert all(isinstance(one, Element) for one in rows), rows
    return {text for one in rows if isinstance(one, Element) for text in one.texts}


def ban(jail: Jail, entries: set[str]) -> None:
    jail.ask("unban", "--all")
    wait_until(lambda: not jail.banned())
    jail.ask("set", JAIL, "banip", *sorted(entries))
    assert set(jail.banned()) == entries


@contextmanager
def a_syslog(path: Path) -> Iterator[list[str]]:
    """Give the messages that come in at a socket, as syslog gets them."""
    messages: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(0.2)
        is_over = threading.Event()

        def listen() -> None:
            while not is_over.is_set():
                try:
                    messages.append(listening.recv(65_536).decode().rstrip("\0"))
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield messages
        finally:
            is_over.set()
            thread.join()


@pytest.mark.parametrize("seed", range(3))
def test_log__gives_what_was_banned(server: Jail, seed: int) -> None:
    server.log.write_text("")
    entries = a_list(seed)
    ban(server, entries)
    text = server.log.read_text()
    assert LOG.matches(Head(tuple(text.splitlines()[:60])))
    assert texts(LOG.read(TextSource(text), Options())) == entries
    assert texts(LOG.read(TextSource(text), Options(own_jail=JAIL))) == set()


@pytest.mark.parametrize("prefix", PREFIXES)
def test_syslog__gives_what_was_banned(server: Jail, tmp_path: Path, prefix: str) -> None:
    entries = a_list(len(prefix))
    with a_syslog(tmp_path / "log") as messages:
        server.ask("set", "syslogsocket", str(tmp_path / "log"))
        server.ask("set", "logtarget", "SYSLOG")
        try:
            ban(server, entries)
            wait_until(lambda: sum("] Ban " in one for one in messages) == len(entries))
        finally:
            server.ask("set", "logtarget", str(server.log))
    lines = [prefix + message.partition(">")[2] + "\n" for message in messages]
    text = OTHERS + OTHERS.join(lines)
    assert texts(LOG.read(TextSource(text), Options())) == entries


def test_database__gives_what_was_banned(server: Jail) -> None:
    entries = a_list(99)
    with closing(sqlite3.connect(server.database)) as database:
        database.execute("DELETE FROM bans")
        database.commit()
    ban(server, entries)

    def read_back(own_jail: str = "") -> set[str]:
        with closing(sqlite3.connect(server.database)) as database:
            content = database.serialize()
        path = server.folder / "copy.sqlite3"
        path.write_bytes(content)
        with path.open("rb") as file:
            return texts(fail2ban_database.read(file, Options(own_jail=own_jail)))

    # The server writes it a moment later.
    wait_until(lambda: entries == read_back())
    assert read_back(JAIL) == set()
    # What it forgets after a day is still banned.
    with closing(sqlite3.connect(server.database)) as database:
        database.execute("DELETE FROM bans")
        database.commit()
    assert read_back() == entries
