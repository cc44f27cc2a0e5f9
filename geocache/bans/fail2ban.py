"""Bans in a jail of fail2ban, through the socket of its server."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Final, NamedTuple

from geocache.bans.base import BanAction
from geocache.bans.commands import run
from geocache.bans.jail_sets import JailSet, find_sets
from geocache.bans.ranges import Range, Ranges
from geocache.exceptions import BanError, NotInForce

# How many entries one call of the client is given. The call has a time limit, and a ban takes its
# tenth of a second in a set that is large.
CALL_ENTRIES: Final = 50
# manage.py checks before each command, and the server may be away.
CHECK_SECONDS: Final = 2.0
ADVICE: Final = (
    "ban with GEOCACHE_BAN_NFTABLES_FILE, or with the action that docs/blocklists.md has"
)


class Banned(NamedTuple):
    """What the server says to have banned, as it writes it."""

    text: str
    range: Range


class Fail2banAction(BanAction):
    """Uses ``fail2ban-client set JAIL banip`` and ``unbanip``.

    A server takes a ban of what is banned, and the end of no ban, without doing anything. It keeps
    a ban that its action could not apply. So after each batch, what it says to have banned is
    compared with the sets of the firewall, where these can be read.
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
        self.client = [client, *(["--socket", socket] if socket else [])]
        self.timeout_seconds = timeout_seconds

    def ban(self, entries: Sequence[str]) -> None:
        self._set("banip", entries)
        self._enforce()

    def unban(self, entries: Sequence[str]) -> None:
        self._set("unbanip", entries)
        # With a network its set can lose an address inside that is banned by itself.
        self._enforce()

    def takes(self, entry: str) -> bool:
        try:
            return "/" not in entry or all(one.takes_networks for one in self._sets)
        except BanError:
            # To ban it says what is wrong.
            return True

    def is_in_force(self) -> bool:
        try:
            return not self._missing(self._banned())
        except BanError:
            # A server that does not answer tells nothing of its bans.
            return True

    def problem(self) -> str:
        """Return what is wrong with the jail's actions; nothing if the server does not answer."""
        self.timeout_seconds = min(self.timeout_seconds, CHECK_SECONDS)
        with suppress(BanError):
            for one in self._sets:
                named = f"The action {one.action} of the jail {self.jail}"
                if not one.takes_networks:
                    return f"{named} takes no networks: those on lists are not banned."
                if one.merges:
                    return f"{named} has auto-merge: nft ends no ban that it has put into another."
        return ""

    @cached_property
    def _sets(self) -> list[JailSet]:
        return find_sets(self._ask, self.jail)

    def _enforce(self) -> None:
        """Ban again what the firewall lacks, once; raise ``NotInForce`` if it still does."""
        if not (missing := self._missing(self._banned())):
            return
        self._ban_again(missing)
        if not (missing := self._missing(self._banned())):
            return
        texts = [one.text for one in missing]
        # What is not recorded as banned would stay there when it leaves the lists.
        self._set("unbanip", texts)
        names = ", ".join(one.action for one in self._sets)
        where = f"jail {self.jail}, action {names}"
        raise NotInForce(texts, where=where, advice=ADVICE)

    def _ban_again(self, missing: Sequence[Banned]) -> None:
        """Ban what is missing and what it overlaps, the widest first.

        A set of networks may refuse one that overlaps another, and lacks nothing if that is wider.
        """
        ranges = Ranges(one.range for one in missing)
        again = [one for one in self._banned() if ranges.overlap(one.range)]
        again.sort(key=lambda one: one.range.first - one.range.last)
        texts = [one.text for one in again]
        self._set("unbanip", texts)
        self._set("banip", texts)

    def _banned(self) -> list[Banned]:
        """Return what the server says to have banned; nothing where no set can be read."""
        if not self._sets:
            return []
        banned = []
        for text in self._ask("get", self.jail, "banip").split():
            # It may also ban users, or sessions.
            with suppress(ValueError):
                banned.append(Banned(text, Range.parse(text)))
        return banned

    def _missing(self, banned: Sequence[Banned]) -> list[Banned]:
        """Return what a set lacks, of those sets that can be read."""
        missing = dict[str, Banned]()
        for version in {one.range.version for one in banned}:
            for ranges in self._in_force(version):
                missing |= {
                    one.text: one
                    for one in banned
                    if one.range.version == version and not ranges.cover(one.range)
                }
        return list(missing.values())

    def _in_force(self, version: int) -> Iterator[Ranges]:
        for each in self._sets:
            found = each.read(self._run, version)
            if found is not None:
                yield Ranges(found)

    def _set(self, what: str, entries: Sequence[str]) -> None:
        for start in range(0, len(entries), CALL_ENTRIES):
            self._ask("set", self.jail, what, *entries[start : start + CALL_ENTRIES])

    def _ask(self, *words: str) -> str:
        try:
            return self._run([*self.client, *words])
        except BanError as error:
            raise BanError(f"jail {self.jail}: {error}") from error

    def _run(self, command: Sequence[str]) -> str:
        return run(command, timeout_seconds=self.timeout_seconds)
