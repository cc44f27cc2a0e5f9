"""A fail2ban server for one test, with its own socket and database, and the firewall it fills.

Unless told otherwise its action only logs. ``in_network`` gives it a network of its own, with a
firewall that is empty.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import require
from tests.support.processes import wait_until

JAIL = "geocache"
# The actions that come along with fail2ban.
INSTALLED = Path("/etc/fail2ban/action.d")
CONFIG = {
    "fail2ban.conf": """\
[Definition]
loglevel = INFO
logtarget = {folder}/server.log
syslogsocket = auto
socket = {folder}/f2b.sock
pidfile = {folder}/f2b.pid
dbfile = {folder}/f2b.sqlite3
dbpurgeage = 1d
dbmaxmatches = 10
""",
    "jail.conf": """\
[DEFAULT]
ignoreip =
port = 0:65535
protocol = tcp
[geocache]
enabled = true
backend = polling
filter = nothing
logpath = {folder}/watched.log
bantime = -1
action = {action}
""",
    "filter.d/nothing.conf": "[Definition]\nfailregex = ^never <HOST>$\n",
    "action.d/note.conf": """\
[Definition]
actionban = echo "ban <ip>" >> {folder}/actions.txt
actionunban = echo "unban <ip>" >> {folder}/actions.txt
""",
}


@dataclass(frozen=True)
class Jail:
    """The running server."""

    folder: Path
    process_id: int

    @property
    def socket(self) -> str:
        return str(self.folder / "f2b.sock")

    @property
    def database(self) -> Path:
        return self.folder / "f2b.sqlite3"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def ask(self, *words: str) -> str:
        done = subprocess.run(
            ["fail2ban-client", "--socket", self.socket, *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout.strip()

    def banned(self) -> list[str]:
        return sorted(self.ask("get", JAIL, "banip").split())

    def actions(self) -> list[str]:
        """Return the lines that the action logged, in order."""
        path = self.folder / "actions.txt"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def enter(self) -> list[str]:
        """Return what a command begins with that is to see the network of the server."""
        return ["nsenter", "--net", "--target", str(self.process_id)]

    def run(self, *command: str) -> str:
        """Run a program in the network of the server, and return what it says."""
        done = subprocess.run(
            [*self.enter, *command], check=True, capture_output=True, text=True, timeout=30
        )
        return done.stdout

    def path_of_tools(self) -> str:
        """Return a PATH on which the tools of the firewall see the network of the server."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        for name in ("nft", "ipset"):
            tool = folder / name
            tool.write_text(f'#!/bin/sh\nexec {" ".join(self.enter)} {shutil.which(name)} "$@"\n')
            tool.chmod(0o755)
        return f"{folder}{os.pathsep}{os.environ['PATH']}"


@contextmanager
def a_jail(
    folder: Path,
    *,
    action: str = "note",
    files: dict[str, str] | None = None,
    in_network: bool = False,
) -> Iterator[Jail]:
    require(bool(shutil.which("fail2ban-server")), "fail2ban")
    for name, text in CONFIG.items():
        path = folder / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(folder=folder, action=action))
    for path in INSTALLED.glob("*tables*.conf"):
        shutil.copy(path, folder / "etc" / "action.d")
    for name, text in (files or {}).items():
        (folder / "etc" / name).write_text(text)
    (folder / "watched.log").touch()
    # In the foreground: a child process that this test can end.
    server = subprocess.Popen(
        [
            *(["unshare", "--net"] if in_network else []),
            *("fail2ban-server", "-f", "-c", str(folder / "etc")),
            *("-s", str(folder / "f2b.sock"), "-p", str(folder / "f2b.pid"), "start"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    jail = Jail(folder, server.pid)
    try:
        wait_until(lambda: JAIL in jail.ask("status"))
        yield jail
    finally:
        server.terminate()
        server.wait(timeout=30)


def has_networks() -> bool:
    """Tell whether a server can have a network of its own with a firewall here."""
    tools = ("unshare", "nsenter", "nft")
    if not all(map(shutil.which, tools)):
        return False
    made = subprocess.run(
        ["unshare", "--net", "nft", "add", "table", "inet", "tried"],
        check=False,
        capture_output=True,
        timeout=30,
    )
    return made.returncode == 0
