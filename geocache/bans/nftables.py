"""Bans as two sets of nftables, in a file for ``nft -f`` that is replaced as a whole."""

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, ClassVar, Final

from geocache.bans.base import BanAction
from geocache.bans.commands import run
from geocache.exceptions import BanError

# One transaction of nftables: the sets are made if need be, emptied, and filled.
HEAD: Final = """\
# Written by geocache and replaced by its next import: changes are lost.
table {table} {{
	set blocked4 {{
		type ipv4_addr
		flags interval
		auto-merge
	}}
	set blocked6 {{
		type ipv6_addr
		flags interval
		auto-merge
	}}
}}
flush set {table} blocked4
flush set {table} blocked6
"""
# How names of unfinished files end, and how long one may be written.
DRAFT: Final = ".part"
DRAFT_SECONDS: Final = 3600
# So many entries have the whole time of the command; more have it once more.
ENTRIES_IN_TIME: Final = 250_000


class NftablesAction(BanAction):
    """Writes the file at ``path``, and has it applied by ``command`` if that is given.

    ``command`` is a list such as ``["nft", "-f"]``; the path is added. Without it something else
    applies the file.
    """

    is_whole: ClassVar[bool] = True

    def __init__(
        self,
        *,
        path: str,
        command: Sequence[str] = (),
        table: str = "inet geocache",
        timeout_seconds: float = 60,
    ) -> None:
        self.path = Path(path)
        self.command = list(command)
        self.table = table
        self.timeout_seconds = timeout_seconds

    def replace(self, entries: Iterable[str]) -> None:
        try:
            self._sweep()
            handle, name = tempfile.mkstemp(
                dir=self.path.parent, prefix=f".{self.path.name}.", suffix=DRAFT
            )
            draft = Path(name)
            try:
                with os.fdopen(handle, "w") as file:
                    count = self._write(file, entries)
                    file.flush()
                    os.fsync(handle)
                if self.command:
                    # Before it takes the place of the one before: a restart must find what works.
                    seconds = self.timeout_seconds * (1 + count // ENTRIES_IN_TIME)
                    run([*self.command, name], timeout_seconds=seconds)
                draft.replace(self.path)
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise BanError(f"{self.path} cannot be written: {error.strerror}") from error

    def is_in_force(self) -> bool:
        """Tell whether the kernel has both sets: not after a restart, or ``flush ruleset``.

        Without a command, what applies the file answers for it. Which elements they have is not
        asked: to list 500,000 takes ten seconds and more.
        """
        if self.command[-1:] != ["-f"]:
            return True
        # Without elements, and not with the names of tables, for which nft reads all elements too.
        command = [*self.command[:-1], "--terse", "list", "sets"]
        try:
            listed = _set_names(run(command, timeout_seconds=self.timeout_seconds))
        except BanError:
            # It cannot be told, as by a process without the rights; to ban again would not help.
            return True
        # Where none is named, the family is ip.
        table = self.table if " " in self.table else f"ip {self.table}"
        return {f"{table} blocked4", f"{table} blocked6"} <= listed

    def _sweep(self) -> None:
        """Remove what killed processes have left; what is younger, another may be writing."""
        oldest = time.time() - self.timeout_seconds - DRAFT_SECONDS
        for draft in self.path.parent.glob(f".{glob.escape(self.path.name)}.*{DRAFT}"):
            # Another process may sweep, too.
            with suppress(FileNotFoundError):
                if draft.stat().st_mtime < oldest:
                    draft.unlink()

    def _write(self, file: IO[str], entries: Iterable[str]) -> int:
        """Write one command for each set, and return how many entries there are.

        One command is twenty times as fast as one for each element. IPv4 and IPv6 come mixed, so
        those of the second set wait in a file without a name.
        """
        file.write(HEAD.format(table=self.table))
        count, is_begun = 0, set[str]()
        with tempfile.TemporaryFile("w+", dir=self.path.parent) as later:
            sets = {"blocked4": file, "blocked6": later}
            for entry in entries:
                count += 1
                name = "blocked6" if ":" in entry else "blocked4"
                before = ",\n\t" if name in is_begun else f"add element {self.table} {name} {{ "
                is_begun.add(name)
                sets[name].write(f"{before}{entry}")
            for name in is_begun:
                sets[name].write(" }\n")
            later.seek(0)
            shutil.copyfileobj(later, file)
        return count


def _set_names(listed: str) -> set[str]:
    """Return ``family table set`` of each set that ``nft list sets`` shows."""
    names, table = set[str](), ""
    for line in listed.splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            table = " ".join(words[1:3])
        elif words[:1] == ["set"]:
            names.add(f"{table} {words[1]}")
    return names
