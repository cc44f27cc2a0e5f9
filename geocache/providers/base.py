"""The contract of a provider: what resolves an address."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Final

from geocache.exceptions import ProviderError
from geocache.location import SOURCE_SEPARATOR, Location

# As wide as the table's column.
MAX_SOURCE_LENGTH: Final = 200
# "#" and eight hexadecimal digits.
DIGEST_LENGTH: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One database or service behind a provider, for people to see."""

    name: str
    built_at: datetime | None = None
    attribution: str = ""
    is_fallback: bool = False
    # What the file calls itself, where ``name`` is another; answers of earlier releases have it.
    type_name: str = ""
    path: Path | None = field(default=None, compare=False)
    # Which fields of an answer it gives, as some of its records tell; empty where that is not told.
    fields: tuple[str, ...] = field(default=(), compare=False)
    # True where what its records tell is that an address is of some kind: a list of proxies, which
    # does not know most addresses.
    is_list: bool = field(default=False, compare=False)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return how the ``source`` of an answer may name it."""
        names = (self.name, self.type_name) if self.type_name else (self.name,)
        return tuple(_label(name, self.built_at) for name in names)

    def age_days(self, at: datetime | None = None) -> int | None:
        """Return the whole days between the build and ``at`` (now), or None if not known."""
        return None if self.built_at is None else ((at or datetime.now(UTC)) - self.built_at).days

    def __str__(self) -> str:
        """Return how the ``source`` of an answer names it; without what separates several."""
        return _label(self.name, self.built_at)


def _label(name: str, built_at: datetime | None) -> str:
    plain = name.replace(SOURCE_SEPARATOR, " ")
    return f"{plain} {built_at:%Y-%m-%d}" if built_at else plain


def joined_sources(sources: Iterable[str]) -> str:
    """Return the ``source`` of an answer that comes from several, no longer than the table takes.

    ``sources`` may be joined themselves. None is cut, which would make it the name of another one:
    from the last to the first, as many as need be are named by a digest.
    """
    joined = SOURCE_SEPARATOR.join(sources)
    if len(joined) <= MAX_SOURCE_LENGTH:
        return joined
    names = joined.split(SOURCE_SEPARATOR)
    for position in reversed(range(len(names))):
        names[position] = _digest(names[position])
        joined = SOURCE_SEPARATOR.join(names)
        if len(joined) <= MAX_SOURCE_LENGTH:
            break
    if len(joined) > MAX_SOURCE_LENGTH:
        # Of absurdly many there is no room for the last ones, not even as digests.
        joined = joined[: joined.rindex(SOURCE_SEPARATOR, 0, MAX_SOURCE_LENGTH)]
    return joined


# How ``geocache.edge`` names what headers of a request have said: it belongs to no build.
HEADERS: Final = r"[A-Z][A-Za-z ]{1,40} headers"


def is_outdated(source: str, present: Iterable[Source]) -> bool:
    """Tell whether an answer's ``source`` names a database or service that is not in use now."""
    # A provider may have written its plain name, in which the separator may be.
    names = [name for one in present for name in (*one.labels, one.name, *map(_digest, one.labels))]
    any_name = "|".join([*map(re.escape, names), HEADERS])
    pattern = rf"(?:{any_name})(?:{SOURCE_SEPARATOR}(?:{any_name}))*"
    return bool(source) and not re.fullmatch(pattern, source)


def _digest(label: str) -> str:
    """Return a short name; one that is short by itself, as a digest is, stays."""
    if len(label) <= DIGEST_LENGTH:
        return label
    return f"#{blake2b(label.encode(), digest_size=4).hexdigest()}"


class Provider(ABC):
    """Resolve public addresses. Instances are shared by the threads of a process."""

    # True when an answer costs money or a trip over a network: rows and known networks are then
    # asked before the provider is.
    is_metered: bool = False
    # False when no answer comes with a network: each address then has to be asked for.
    names_networks: bool = True
    # True when one query asks for several addresses.
    has_batch_endpoint: bool = False
    # The providers that a chain asks.
    members: tuple["Provider", ...] = ()
    # How many addresses a metered provider may be asked about in a day; None: any number.
    queries_per_day: int | None = None
    # How many queries an event loop may have under way at once, where it asks by itself.
    queries_at_once: int = 256
    # How many more the service itself says that it will answer; None where it does not say.
    queries_remaining: int | None = None
    # How long one query may take, in seconds. Another process waits so long for its answer.
    timeout_seconds: float = 5.0

    def tree(self) -> "Iterator[Provider]":
        """Give this provider, then its members with theirs."""
        yield self
        for member in self.members:
            yield from member.tree()

    def leaves(self) -> "Iterator[Provider]":
        """Give the providers that answer by themselves: those of a chain, or this one."""
        return (one for one in self.tree() if not one.members)

    @property
    def name(self) -> str:
        """Return what it is called in logs; providers of one name are counted together."""
        return self.sources()[0].name

    @property
    def label(self) -> str:
        """Return what it is called in metrics: one name, whatever database files it reads."""
        if self.is_metered and not self.members:
            with suppress(ProviderError):
                return self.name
        return type(self).__name__

    @property
    def log_name(self) -> str:
        """Return what the log calls it when it fails, and may not be able to tell its sources."""
        return type(self).__name__

    @abstractmethod
    def build(self) -> str:
        """Return a short text that changes with the data, so that old answers grow stale at once.

        Raises ``ProviderError`` when there is nothing to answer from.
        """

    @abstractmethod
    def resolve(self, address: str) -> Location:
        """Return the answer for one normalised public address, found or ``not_found``.

        Raises ``ProviderError`` on failure.
        """

    def resolve_many(self, addresses: Iterable[str]) -> dict[str, Location]:
        """Return the answers by address, without those that failed.

        Raises ``ProviderError`` when all failed.
        """
        answers: dict[str, Location] = {}
        self.resolve_into(answers, addresses)
        return answers

    def resolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        """Put the answers into ``answers`` as they come, by address, without those that failed.

        What is in there has been paid for, and is kept whatever ends the call. A service with a
        batch endpoint overrides this. Raises ``ProviderError`` when all failed.
        """
        wanted = list(addresses)
        failure: ProviderError | None = None
        for address in wanted:
            try:
                answers[address] = self.resolve(address)
            except ProviderError as error:
                failure = error
        if failure and answers.keys().isdisjoint(wanted):
            raise failure

    async def aresolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        """Do what ``resolve_into`` does for a caller in an event loop, by default in a thread.

        A provider that can wait in the event loop overrides this. A call that is cancelled leaves
        nothing under way that could still put an answer into ``answers``.
        """
        from geocache.async_pool import run_in_pool  # noqa: PLC0415 - it needs Django

        await run_in_pool(self.resolve_into, answers, addresses)

    def time_limit_seconds(self, count: int) -> float:
        """Return how long ``resolve_into`` may take for ``count`` addresses, in seconds."""
        return count * self.timeout_seconds

    @property
    def rest_seconds(self) -> float:
        """Return for how many more seconds the service wants to be left alone."""
        return 0.0

    def resolve_free(self, addresses: Iterable[str]) -> dict[str, Location]:  # noqa: ARG002 - for a chain
        """Return the answers of a metered provider that cost nothing and that no other can better.

        It is asked for them before the table is. Never raises ``ProviderError``.
        """
        return {}

    def renew_free(self, addresses: Iterable[str]) -> dict[str, Location]:
        """Return what ``resolve_free`` does, for rows that are removed if they get no answer.

        Raises ``ProviderError`` when one that costs nothing fails.
        """
        return self.resolve_free(addresses)

    def records(self, address: str) -> "Iterator[tuple[Source, object]]":  # noqa: ARG002 - for files
        """Give what the open files hold about an address, as it stands there, with the source.

        Nothing is waited for, and no service is queried: a provider without files gives nothing.
        Never raises ``ProviderError``.
        """
        return iter(())

    @abstractmethod
    def sources(self) -> list[Source]:
        """Return what answers come from. Raises ``ProviderError`` as ``build`` does."""

    def check(self) -> list[str]:
        """Return what is wrong with the set-up, one line each; an empty list when all is well."""
        return []

    def doubts(self) -> list[str]:
        """Return what may be wrong with the set-up although it can be asked, one line each."""
        return []
