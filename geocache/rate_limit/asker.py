"""Who asks for addresses, and what that may cost: on the look-up page and in the API."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from geocache import conf
from geocache.lookup.plan import payable_count
from geocache.permissions import VIEW_ADDRESSES, missing

ALL_VISITORS: Final = "visitors"
SETTINGS: Final = ("LOOKUP_RATE", "PUBLIC_LOOKUP_RATE", "PUBLIC_TOTAL_RATE", "PUBLIC_QUERY_RATE")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who is counted: a user who may see addresses, or a network of visitors."""

    key: str
    is_visitor: bool

    def spend(self, count: int, *, spent: int = 0) -> None:
        """Count addresses that are about to be looked up; raise ``RateExceeded``.

        ``count`` includes the ``spent`` that were counted for the same request before.
        """
        cost = count - spent
        if cost <= 0:
            return
        if not self.is_visitor:
            _spend("LOOKUP_RATE", self.key, cost, spent=spent)
            return
        _spend("PUBLIC_LOOKUP_RATE", self.key, cost, spent=spent)
        if conf.get("PUBLIC_LOOKUP"):
            _spend("PUBLIC_TOTAL_RATE", ALL_VISITORS, cost, spent=spent)

    def spend_queries(self, addresses: Iterable[str]) -> None:
        """Count the queries that visitors are about to have paid for; raise ``RateExceeded``."""
        if not self.is_visitor or not conf.get("PUBLIC_QUERY_RATE"):
            return
        if count := payable_count(addresses):
            _spend("PUBLIC_QUERY_RATE", ALL_VISITORS, count)


def _spend(setting: str, asker: str, cost: int, *, spent: int = 0) -> None:
    if not conf.get(setting):
        return
    from geocache.rate_limit import limiter  # noqa: PLC0415 - its library takes 0.1 s, and may be absent

    limiter.spend(setting, asker, cost, spent=spent)


def asker_of(user: Any, network: str | None) -> Asker:
    """Return who asks: ``user`` (None: not known) from ``network``, as of ``client_ip``."""
    is_known = user is not None and user.is_authenticated
    if is_known and not missing(user, VIEW_ADDRESSES):
        return Asker(f"user/{user.pk}", is_visitor=False)
    return Asker(f"visitor/{network}", is_visitor=True)
