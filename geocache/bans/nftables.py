"""Bans as two sets of nftables, in a file for ``nft -f`` that is replaced as a whole."""

import glob
import os
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
                    self._write(file, entries)
                    file.flush()
                    os.fsync(handle)
                if self.command:
                    # Before it takes the place of the one before: a restart must find what works.
                    run([*self.command, name], timeout_seconds=self.timeout_seconds)
                draft.replace(self.path)
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise BanError(f"{self.path} cannot be written: {error.strerror}") from error

    def _sweep(self) -> None:
        """Remove what killed processes have left; what is younger, another may be writing."""
        oldest = time.time() - self.timeout_seconds - DRAFT_SECONDS
        for draft in self.path.parent.glob(f".{glob.escape(self.path.name)}.*{DRAFT}"):
            # Another process may sweep, too.
            with suppress(FileNotFoundError):
                if draft.stat().st_mtime < oldest:
                    draft.unlink()

    def _write(self, file: IO[str], entries: Iterable[str]) -> None:
        file.write(HEAD.format(table=self.table))
        # In the order of their texts IPv4 and IPv6 are mixed; each element is a line of its own.
        for entry in entries:
            name = "blocked6" if ":" in entry else "blocked4"
            file.write(f"add element {self.table} {name} {{ {entry} }}\n")
