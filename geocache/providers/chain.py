"""Several providers in order: the first that finds an address answers, others fill its gaps."""

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final

from msgspec.structs import replace

from geocache.addresses import prefix_length
from geocache.cache.circuit_breaker import CircuitBreaker
from geocache.exceptions import ProviderError
from geocache.location import FIELDS, Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.providers import quota
from geocache.providers.base import Provider, Source, joined_sources
from geocache.providers.factory import make
from geocache.providers.merging import added, given_together, is_open, said_fields

log = get_logger(__name__)

# How long a provider that has failed is left alone by this process, in seconds.
REST_SECONDS: Final = 10.0
# What belongs to the answer as a whole, and cannot be filled in by another provider.
WHOLE_FIELDS: Final = frozenset(
    ("address", "resolved_at", "network", "source", "reason", "given_by")
)


class Link:
    """One provider of a chain, the fields that it fills, and whether it has just failed."""

    def __init__(self, configured: Mapping[str, Any]) -> None:
        self.provider = make(configured)
        self.fills = frozenset(configured.get("FILLS", ()))
        if unknown := self.fills - (frozenset(FIELDS) - WHOLE_FIELDS):
            raise TypeError(f"FILLS names {', '.join(sorted(unknown))}")
        self.breaker = CircuitBreaker(
            slow_seconds=0,
            open_seconds=REST_SECONDS,
            open_error=_spared,
            name=self.provider.label,
        )
        self._said = LogThrottle(seconds=60)

    def is_wanted(self, answer: Location | None) -> bool:
        """Tell whether this provider can add to what those before it have answered."""
        return not answer or any(is_open(answer, name) for name in self.fills)

    def ask(self, answers: dict[str, Location], addresses: Collection[str]) -> None:
        """Put the answers into ``answers``, without those that the provider failed on."""
        try:
            with self.breaker.guard():
                quota.ask(self.provider, answers, addresses)
        except ProviderError as error:
            self._say_skipped(error)

    async def aask(self, answers: dict[str, Location], addresses: Collection[str]) -> None:
        """Do what ``ask`` does, in an event loop."""
        try:
            with self.breaker.guard():
                await quota.aask(self.provider, answers, addresses)
        except ProviderError as error:
            self._say_skipped(error)

    def _say_skipped(self, error: ProviderError) -> None:
        if self._said.is_due():
            name = self.provider.log_name
            log.warning("geo_provider_skipped", provider=name, error=str(error))


class ChainProvider(Provider):
    """Ask ``providers`` in order, each ``{"BACKEND": ..., "OPTIONS": {...}, "FILLS": [...]}``.

    One is asked about an address when those before it found nothing, or when their answer leaves a
    field empty that it ``FILLS``. One that fails is left alone for ten seconds.
    """

    def __init__(self, providers: Sequence[Mapping[str, Any]]) -> None:
        if not providers:
            raise TypeError("a chain needs providers")
        self.links = tuple(map(Link, providers))
        self.members = tuple(link.provider for link in self.links)
        self.is_metered = any(member.is_metered for member in self.members)
        metered = [member for member in self.members if member.is_metered]
        self.names_networks = any(member.names_networks for member in metered)
        self.has_batch_endpoint = any(member.has_batch_endpoint for member in metered)
        self._free = tuple(takewhile(lambda link: not link.provider.is_metered, self.links))

    def build(self) -> str:
        """Return the builds of all; one that cannot answer at all must not stop the others."""
        builds = list(map(_build, self.members))
        if not any(builds):
            raise ProviderError("no provider of the chain can answer")
        return "+".join(builds)

    def sources(self) -> list[Source]:
        return [source for member in self.members for source in _sources(member)]

    def resolve(self, address: str) -> Location:
        return self.resolve_many([address])[address]

    def resolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        wanted = list(addresses)
        _ask_in_order(self.links, answers, wanted)
        _raise_if_none(answers, wanted)

    async def aresolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        wanted = list(addresses)
        with closing(_steps(self.links, answers, wanted, set())) as steps:
            for step in steps:
                await step.link.aask(step.given, step.wanted)
        _raise_if_none(answers, wanted)

    def time_limit_seconds(self, count: int) -> float:
        metered = (member for member in self.members if member.is_metered)
        return sum(member.time_limit_seconds(count) for member in metered)

    def resolve_free(self, addresses: Iterable[str]) -> dict[str, Location]:
        """Return what those before the first metered one know, if nobody could add to it."""
        answers: dict[str, Location] = {}
        _ask_in_order(self._free, answers, list(addresses))
        return self._final(answers)

    def renew_free(self, addresses: Iterable[str]) -> dict[str, Location]:
        answers: dict[str, Location] = {}
        if failed := _ask_in_order(self._free, answers, list(addresses)):
            raise ProviderError(f"no answer for {len(failed):,} addresses from one that is free")
        return self._final(answers)

    def _final(self, answers: Mapping[str, Location]) -> dict[str, Location]:
        """Return the answers to which none could add that costs something."""
        rest = self.links[len(self._free) :]
        return {
            address: answer
            for address, answer in answers.items()
            if not any(link.is_wanted(answer) for link in rest)
        }

    def check(self) -> list[str]:
        return [problem for member in self.members for problem in member.check()]

    def doubts(self) -> list[str]:
        return [doubt for member in self.members for doubt in member.doubts()]


def _spared() -> ProviderError:
    return ProviderError("it failed a moment ago")


def _build(member: Provider) -> str:
    try:
        return member.build()
    except ProviderError:
        return ""


def _sources(member: Provider) -> list[Source]:
    try:
        return member.sources()
    except ProviderError:
        return []


def _raise_if_none(answers: Mapping[str, Location], wanted: Collection[str]) -> None:
    if wanted and answers.keys().isdisjoint(wanted):
        raise ProviderError("each provider of the chain failed, or found nothing")


@dataclass(frozen=True, slots=True)
class _Step:
    """One link to ask for the addresses that are ``wanted``; its answers belong in ``given``."""

    link: Link
    wanted: list[str]
    given: dict[str, Location] = field(default_factory=dict)


def _ask_in_order(
    links: Sequence[Link], answers: dict[str, Location], addresses: Sequence[str]
) -> set[str]:
    """Ask one link after the other, and return the addresses on which one has failed."""
    failed: set[str] = set()
    with closing(_steps(links, answers, addresses, failed)) as steps:
        for step in steps:
            step.link.ask(step.given, step.wanted)
    return failed


def _steps(
    links: Sequence[Link],
    answers: dict[str, Location],
    addresses: Sequence[str],
    failed: set[str],
) -> Generator[_Step]:
    """Give what to ask one after the other, and put the merged answers into ``answers``.

    That is done at the end, also when a bug in a provider or a cancellation ends the call: close
    the generator then. Addresses on which a link has failed are put into ``failed``.
    """
    merged: dict[str, Location] = {}
    try:
        for link in links:
            wanted = [address for address in addresses if link.is_wanted(merged.get(address))]
            if wanted:
                yield from _step(link, merged, failed, wanted)
    finally:
        answers.update(
            # What one knows that stands in for another holds for no neighbour.
            (address, replace(answer, network="") if address in failed else answer)
            for address, answer in merged.items()
            # Where one has failed, "not found" is not known.
            if answer or address not in failed
        )


def _step(
    link: Link, merged: dict[str, Location], failed: set[str], wanted: list[str]
) -> Generator[_Step]:
    step = _Step(link, wanted)
    try:
        yield step
    finally:
        failed.update(address for address in wanted if address not in step.given)
        for address, answer in step.given.items():
            merged[address] = _merged(merged.get(address), answer, link.fills)


def _merged(before: Location | None, answer: Location, fills: Collection[str]) -> Location:
    """Return ``answer`` if nothing was found before it, else what was, with the gaps filled."""
    if before is None:
        return answer
    filled = added(said_fields(before), said_fields(answer), fills) if answer and fills else {}
    if before and not filled:
        # Those beside the address may have more to fill.
        return replace(before, network=_narrowest(before, answer, givers=[before]))
    if answer and not before:
        return replace(answer, network=_narrowest(before, answer, givers=[answer]))
    return replace(
        before,
        **filled,
        network=_narrowest(before, answer, givers=[before, answer]),
        source=joined_sources([before.source, answer.source]),
        given_by=given_together(before, answer, filled) if filled else "",
    )


def _narrowest(one: Location, other: Location, givers: Iterable[Location]) -> str:
    """Return the network in which both answers hold: each lies around the same address."""
    if not all(giver.network for giver in givers):
        return ""
    networks = [answer.network for answer in (one, other) if answer.network]
    return max(networks, key=prefix_length)
