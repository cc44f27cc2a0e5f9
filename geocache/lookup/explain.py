"""What is known about one address, where it is held, and why it is stale.

No provider is asked that costs something, and nothing is written.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from geocache import conf
from geocache.addresses import special_reason
from geocache.exceptions import JournalUnavailable, ProviderError
from geocache.journal import backlog
from geocache.location import Location
from geocache.lookup import hot_entries
from geocache.lookup.plan import Plan, Tier, plan, without_provider
from geocache.models import GeoCache
from geocache.providers import factory
from geocache.providers.base import Source, is_outdated
from geocache.providers.credits import Credits, credited


class Stale(StrEnum):
    """Why an answer that is held may be wrong by now, or is all there is."""

    OLDER_BUILD = "older_build"
    OLDER_THAN_TTL = "older_than_ttl"
    PROVIDER_FAILS = "provider_fails"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The answers that are held for an address, and what would answer now."""

    plan: Plan
    row: GeoCache | None = None
    hot_entry: Location | None = None
    # The newest in the journal; None also when the journal cannot be read.
    pending: Location | None = None
    is_journal_readable: bool = True
    is_metered: bool = False
    # What is in use now; empty while the provider fails.
    build: str = ""
    sources: tuple[Source, ...] = ()
    # Of the hot entry, whether there is one or not.
    key: str = ""

    @property
    def tier(self) -> Tier:
        """Return what answers a look-up."""
        return self.plan.tier

    def answer(self) -> Location | None:
        """Return the newest answer that is held."""
        row = self.row.to_location() if self.row else None
        held = [one for one in (self.hot_entry, self.pending, row) if one is not None]
        return max(held, key=lambda one: one.resolved_at, default=None)

    def stale(self, at: datetime) -> list[Stale]:
        """Return why the newest answer is stale at ``at``; nothing when it is not, or is none."""
        answer = self.answer()
        if answer is None:
            return []
        ttl = conf.get("ROW_TTL_SECONDS" if answer else "NOT_FOUND_TTL_SECONDS")
        reasons = {
            Stale.OLDER_BUILD: self.build and is_outdated(answer.source, self.sources),
            Stale.OLDER_THAN_TTL: at - answer.resolved_at > timedelta(seconds=ttl),
            Stale.PROVIDER_FAILS: self.plan.failure,
        }
        return [reason for reason, is_so in reasons.items() if is_so]

    def to_plain(self, at: datetime) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        answer, plan = self.answer(), self.plan
        return {
            "tier": str(plan.tier),
            "answer": None if answer is None else credited(answer.to_plain(), Credits()),
            "age_seconds": None if answer is None else (at - answer.resolved_at).total_seconds(),
            "held_in": {
                "hot_entry": self.hot_entry is not None,
                "journal": self.pending is not None if self.is_journal_readable else None,
                "row": self.row is not None,
            },
            "key": self.key,
            "build": self.build,
            "known_network": plan.near.network if plan.near else "",
            "stale": list(map(str, self.stale(at))),
            "queries": 1 if plan.usage else 0,
            "asks": plan.usage.provider if plan.usage else "",
            "left_today": plan.usage.left_count if plan.usage else None,
            "failure": plan.failure,
        }


def trace(address: IPv4Address | IPv6Address) -> Provenance:
    """Return what is known about ``address``; at most four queries, and no question that costs."""
    text = str(address)
    row = GeoCache.objects.filter(address=text).first()
    pending, is_journal_readable = _pending(text)
    held = Provenance(
        plan=Plan(tier=Tier.SPECIAL),
        row=row,
        pending=pending,
        is_journal_readable=is_journal_readable,
    )
    if special_reason(address):
        return held
    try:
        provider = factory.current()
        build, sources = provider.build(), tuple(provider.sources())
    except ProviderError as error:
        return replace(held, plan=without_provider(str(error), row))
    # "Not found" is an answer, too, though a false one.
    hot_entry = hot_entries.get_many(build, [text]).get(text)
    is_hot = hot_entry is not None
    return replace(
        held,
        plan=Plan(tier=Tier.HOT_ENTRY) if is_hot else plan(provider, build, {text: address}, row),
        hot_entry=hot_entry,
        is_metered=provider.is_metered,
        build=build,
        sources=sources,
        key=hot_entries.full_key(build, text),
    )


def _pending(text: str) -> tuple[Location | None, bool]:
    try:
        return backlog.find(text), True
    except JournalUnavailable:
        return None, False
