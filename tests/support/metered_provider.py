"""A metered provider: slow, with networks, its queries counted across processes."""

import os
import time
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from geocache.exceptions import ProviderError
from geocache.location import NOT_FOUND, Location
from geocache.providers import factory
from geocache.providers.base import Provider, Source


class TallyingProvider(Provider):
    """Answer each address with a network of ``prefix_length``; append each query to a file.

    Addresses in the network ``empty`` are not found. While the file ``broken`` exists, it fails.
    """

    is_metered = True

    def __init__(
        self,
        tally: str,
        *,
        prefix_length: int = 24,
        seconds: float = 0,
        empty: str = "",
        broken: str = "",
    ) -> None:
        self.tally = Path(tally)
        self.prefix_length = prefix_length
        self.seconds = seconds
        self.empty = empty
        self.broken = broken

    def build(self) -> str:
        return "tallying"

    def resolve(self, address: str) -> Location:
        # A single write in append mode keeps the lines of several processes apart.
        with self.tally.open("a", buffering=1) as file:
            file.write(f"{os.getpid()} {address}\n")
        time.sleep(self.seconds)
        if self.broken and Path(self.broken).exists():
            raise ProviderError("broken")
        network = str(ip_network((address, self.prefix_length), strict=False))
        found = {"reason": NOT_FOUND} if network == self.empty else {"city": network}
        return Location(
            address=address,
            resolved_at=datetime.now(UTC),
            network=network,
            source="Tallying",
            **found,
        )

    def sources(self) -> list[Source]:
        return [Source(name="Tallying")]


def configured(tally: Path, **options: Any) -> dict[str, Any]:
    backend = f"{__name__}.TallyingProvider"
    return {"BACKEND": backend, "OPTIONS": {"tally": str(tally), **options}}


def use_tallying_provider(settings: Any, tally: Path, **options: Any) -> TallyingProvider:
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": configured(tally, **options)}
    current = factory.current()
    assert isinstance(current, TallyingProvider)
    return current


def asked(tally: Path) -> list[str]:
    """Return the addresses that any process queried, in order."""
    lines = tally.read_text().splitlines() if tally.exists() else []
    return [line.split()[1] for line in lines]
