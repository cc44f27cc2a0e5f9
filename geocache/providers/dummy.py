"""A provider for tests: answers from a dict, counts what it is asked, fails on demand."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from geocache.country_groups import completed
from geocache.exceptions import ProviderError
from geocache.location import NOT_FOUND, Location
from geocache.providers.base import Provider, Source


class DummyProvider(Provider):
    """Answer from ``answers`` (the fields of a ``Location`` by address)."""

    def __init__(
        self,
        answers: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        name: str = "Dummy",
        is_metered: bool = False,
        is_failing: bool = False,
        version: str = "1",
    ) -> None:
        self.answers = answers or {}
        self.source_name = name
        self.is_metered = is_metered
        self.is_failing = is_failing
        self.version = version
        self.asked: list[str] = []

    def build(self) -> str:
        return f"{self.source_name.lower()}-{self.version}"

    def resolve(self, address: str) -> Location:
        if self.is_failing:
            raise ProviderError("the dummy provider was told to fail")
        self.asked.append(address)
        known = self.answers.get(address)
        fields = {"source": str(self.sources()[0]), **(known or {"reason": NOT_FOUND})}
        return Location(address=address, resolved_at=datetime.now(UTC), **completed(fields))

    def sources(self) -> list[Source]:
        return [Source(name=f"{self.source_name} {self.version}")]
