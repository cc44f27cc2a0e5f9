"""What the next time would ban and end, and what it would leave out; nothing is done."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from geocache.bans import compared
from geocache.bans.apply import is_enabled, is_lost
from geocache.bans.base import BanAction
from geocache.bans.pending import all_bans, entries, not_wanted, protected_bans, to_ban
from geocache.bans.protection import Reason, read_protection

# How many of each kind are named.
SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """How many entries there are, and the first of them."""

    count: int = 0
    first: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What is to be banned, to be ended, lost in the firewall, and never banned, and why."""

    to_ban: Sample
    to_end: Sample
    is_lost: bool
    skipped: Counter[Reason]
    first_skipped: tuple[tuple[str, Reason], ...]

    @property
    def is_due(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self.to_ban.count or self.to_end.count or self.is_lost)


def preview(action: BanAction) -> Preview:
    """Return what ``apply_bans`` would do; raise ``BanError``."""
    if not is_enabled():
        return _all_to_end()
    protection = read_protection(action.takes)
    skipped, first_skipped = Counter[Reason](), list[tuple[str, Reason]]()

    def skip(entry: str, reason: Reason) -> None:
        skipped[reason] += 1
        if len(first_skipped) < SHOWN:
            first_skipped.append((entry, reason))

    protected = protected_bans(protection) if compared.is_new(protection) else ()
    return Preview(
        to_ban=_sample(to_ban(protection, skip)),
        to_end=_sample(chain(entries(not_wanted()), protected)),
        is_lost=is_lost(action),
        skipped=skipped,
        first_skipped=tuple(first_skipped),
    )


def _all_to_end() -> Preview:
    """Return what happens where bans are switched off."""
    return Preview(
        to_ban=Sample(),
        to_end=_sample(entries(all_bans())),
        is_lost=False,
        skipped=Counter(),
        first_skipped=(),
    )


def _sample(texts: Iterable[str]) -> Sample:
    rest = iter(texts)
    first = tuple(islice(rest, SHOWN))
    return Sample(len(first) + sum(1 for _ in rest), first)
