"""Bans in a jail of fail2ban, through the socket of its server."""

from collections.abc import Sequence

from geocache.bans.base import BanAction
from geocache.bans.commands import run
from geocache.exceptions import BanError


class Fail2banAction(BanAction):
    """Uses ``fail2ban-client set JAIL banip`` and ``unbanip``.

    A server takes a ban of what is banned, and the end of no ban, without doing anything.
    """

    def __init__(
        self,
        *,
        jail: str,
        client: str = "fail2ban-client",
        socket: str = "",
        timeout_seconds: float = 30,
    ) -> None:
        self.jail = jail
        self.command = [client, *(["--socket", socket] if socket else [])]
        self.timeout_seconds = timeout_seconds

    def ban(self, entries: Sequence[str]) -> None:
        self.set_bans("banip", entries)

    def unban(self, entries: Sequence[str]) -> None:
        self.set_bans("unbanip", entries)

    def set_bans(self, action: str, entries: Sequence[str]) -> None:
        command = [*self.command, "set", self.jail, action, *entries]
        try:
            run(command, timeout_seconds=self.timeout_seconds)
        except BanError as error:
            raise BanError(f"jail {self.jail}: {error}") from error
