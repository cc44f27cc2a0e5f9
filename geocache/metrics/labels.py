"""The labels that counters can have by the settings of this process: a bounded number."""

from dataclasses import dataclass
from typing import Self

from geocache.cache import backends
from geocache.providers import factory


@dataclass(frozen=True, slots=True)
class Labels:
    """The providers that are asked, and the circuit breakers, by their names in metrics."""

    providers: tuple[str, ...]
    breakers: tuple[str, ...]

    @classmethod
    def of_settings(cls) -> Self:
        """Return those of the settings; of a provider that cannot be made there are none."""
        try:
            known = list(factory.current().tree())
        except Exception:  # noqa: BLE001 - the project's own class may raise anything
            # The part "provider" says so.
            known = []
        leaves = [one.label for one in known if not one.members]
        # Each provider of a chain has one.
        breakers = [backends.breaker.name, *(one.label for one in known[1:])]
        return cls(tuple(dict.fromkeys(leaves)), tuple(dict.fromkeys(breakers)))
