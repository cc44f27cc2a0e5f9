"""A fail2ban server for one test, with its own socket, database and an action that only logs."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import require
from tests.support.processes import wait_until

JAIL = "geocache"
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
[geocache]
enabled = true
backend = polling
filter = nothing
logpath = {folder}/watched.log
bantime = -1
action = note
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

    @property
    def socket(self) -> str:
        return str(self.folder / "f2b.sock")

    @property
    def database(self) -> Path:
        return self.folder / "f2b.sqlite3"

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


@contextmanager
def a_jail(folder: Path) -> Iterator[Jail]:
    require(bool(shutil.which("fail2ban-server")), "fail2ban")
    for name, text in CONFIG.items():
        path = folder / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(folder=folder))
    (folder / "watched.log").touch()
    jail = Jail(folder)
    # In the foreground: a child process that this test can end.
    server = subprocess.Popen(
        [
            *("fail2ban-server", "-f", "-c", str(folder / "etc"), "-s", jail.socket),
            *("-p", str(folder / "f2b.pid"), "start"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: JAIL in jail.ask("status"))
        yield jail
    finally:
        server.terminate()
        server.wait(timeout=30)
