"""The provider of a test: knows what the test says, and asks no other unless it is told to."""

import uuid
from collections.abc import Iterable

from geocache.addresses import parse_address
from geocache.exceptions import ProviderError
from geocache.location import Location
from geocache.providers import quota
from geocache.providers.base import Provider, Source
from geocache.testing.answers import SOURCE, Address, Answers, Prepared


class OverrideProvider(Provider):
    """Answer what is named, from the ``default`` what is not, or from the provider behind it."""

    def __init__(
        self, answers: Answers, default: Prepared, *, behind: Provider | None = None
    ) -> None:
        self.looked_up: list[str] = []
        self._answers = answers
        self._default = default
        self._behind = behind
        # No two have a hot entry in common.
        self._build = f"override-{uuid.uuid4().hex}"

    def build(self) -> str:
        return f"{self._build} {self._behind.build()}" if self._behind else self._build

    def names(self, address: Address) -> bool:
        """Tell whether a test speaks of ``address``, which may be a private or special one."""
        if self._answers.find(address) is not None:
            return True
        return isinstance(self._behind, OverrideProvider) and self._behind.names(address)

    def resolve(self, address: str) -> Location:
        return self.resolve_many([address])[address]

    def resolve_into(self, answers: dict[str, Location], addresses: Iterable[str]) -> None:
        wanted = list(addresses)
        self.looked_up.extend(wanted)
        failure: ProviderError | None = None
        others: list[str] = []
        for address in wanted:
            known = self._answers.find(parse_address(address))
            if known is None and self._behind is not None:
                others.append(address)
                continue
            try:
                answers[address] = (known or self._default).location(address)
            except ProviderError as error:
                failure = error
        if self._behind is not None:
            try:
                quota.ask(self._behind, answers, others)
            except ProviderError as error:
                failure = error
        if failure and answers.keys().isdisjoint(wanted):
            raise failure

    def sources(self) -> list[Source]:
        return [Source(name=SOURCE), *(self._behind.sources() if self._behind else [])]
