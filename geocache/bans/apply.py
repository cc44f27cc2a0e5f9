"""Ban what is on a list, once, and end the ban when it is on none; off unless a setting says so.

What is banned is a table of its own. Whatever was killed or failed, the difference between what is
listed and what is banned is what is left to do. What is listed and never banned stays out, and is
counted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final

from django.utils.module_loading import import_string

from geocache import conf, extras
from geocache.bans import compared
from geocache.bans.base import BanAction
from geocache.bans.pending import (
    ROWS,
    all_bans,
    entries,
    harmless,
    not_banned,
    not_wanted,
    protected_bans,
    to_ban,
    wanted,
)
from geocache.bans.protection import Protection, Reason, check_settings, read_protection
from geocache.exceptions import BanBusy, BanError, NotInForce
from geocache.instants import utc_now
from geocache.locks.file_lock import exclusive_lock
from geocache.models import Ban
from geocache.models.connection import atomic

# How long one waits for the bans of another import on this machine.
WAIT_SECONDS: Final = 60.0
# Entries that are written to a file before the hold of an import is renewed.
KEEP_ENTRIES: Final = 50_000

# Is called with each batch, in its transaction.
Keep = Callable[[], object]


@dataclass(slots=True)
class BanReport:
    """How many bans were applied, ended and asked for again, and what is never banned, and why."""

    banned: int = 0
    unbanned: int = 0
    repeated: int = 0
    skipped: Counter[Reason] = field(default_factory=Counter)


def current() -> BanAction | None:
    """Return the action that the settings name, or None; raise ``BanError``."""
    configured = conf.get("BAN_ACTION")
    if not configured:
        return None
    try:
        action = import_string(configured["BACKEND"])(**configured.get("OPTIONS", {}))
    except (AttributeError, ImportError, KeyError, TypeError) as error:
        raise BanError(f"BAN_ACTION makes no sense: {error}") from error
    if not isinstance(action, BanAction):
        raise BanError(f"BAN_ACTION: {configured['BACKEND']} is no BanAction")
    return action


def check() -> None:
    """Raise ``BanError`` when the settings for bans make no sense, or nothing can be banned."""
    if current() and (absent := extras.missing("bans", "ifaddr")):
        raise BanError(str(absent))
    check_settings()


def is_enabled() -> bool:
    """Tell whether bans are switched on, for whatever bans them."""
    return bool(conf.get("BANS_ENABLED"))


def are_due() -> bool:
    """Tell whether bans are to be applied, ended, or lost where they were applied."""
    action = current()
    if action is None:
        return False
    if not is_enabled():
        return _may_be_in_force(action)
    protection = read_protection(action.takes)
    is_left = not compared.is_settled(protection) and _is_left(protection)
    return is_left or is_lost(action)


def apply_bans(
    keep: Keep = lambda: None, *, is_repeated: bool = False, wait_seconds: float | None = None
) -> BanReport:
    """Ban what is listed and not banned, end the bans of what is on no list or protected.

    ``is_repeated`` asks for the bans once more that are recorded, as is done anyway where the
    action says that they are lost. Where bans are switched off, all are ended instead. ``keep`` is
    called with each batch. Raises ``BanError``; what was applied is recorded.
    """
    action = current()
    if action is None:
        return BanReport()
    if not is_enabled():
        return _end_if_any(action, keep, wait_seconds)
    # What is banned is this machine's, for all imports together.
    with _locked(keep, wait_seconds):
        is_repeated = is_repeated or (action.is_whole and compared.is_interrupted())
        compared.begin()
        protection = read_protection(action.takes)
        lists, count = compared.lists(), all_bans().count()
        is_repeated = is_repeated or is_lost(action)
        do = _replace if action.is_whole else _one_by_one
        report = do(action, protection, keep, is_repeated)
        # Counted, not read again: a ban that another process deletes meanwhile is to be missed.
        compared.finish(protection, lists, count + report.banned - report.unbanned)
    return report


def apply_due_bans(keep: Keep = lambda: None) -> BanReport:
    """Do the same if anything has changed since the last time, and wait for no other process."""
    action = current()
    if action is None:
        return BanReport()
    if not is_enabled():
        return _end_if_any(action, keep, 0)
    if compared.is_settled(read_protection(action.takes)) and not is_lost(action):
        return BanReport()
    return apply_bans(keep, wait_seconds=0)


def end_bans(keep: Keep = lambda: None, *, wait_seconds: float | None = None) -> int:
    """End all bans, whatever lists hold, and return how many there were; raise ``BanError``."""
    action = current()
    if action is None:
        raise BanError("BAN_ACTION is not set: nothing can end a ban")
    with _locked(keep, wait_seconds):
        compared.begin()
        count = _end_all(action, keep)
        compared.finish_end()
    return count


def _end_all(action: BanAction, keep: Keep) -> int:
    if action.is_whole:
        action.replace(())
        return _in_batches(entries(all_bans()), ROWS, _nothing, _forget, keep)
    return _in_batches(entries(all_bans()), action.batch_size, action.unban, _forget, keep)


def _end_if_any(action: BanAction, keep: Keep, wait_seconds: float | None) -> BanReport:
    if not _may_be_in_force(action):
        return BanReport()
    return BanReport(unbanned=end_bans(keep, wait_seconds=wait_seconds))


def _may_be_in_force(action: BanAction) -> bool:
    """Tell whether there are bans, or may be some that a killed process has not recorded."""
    return (action.is_whole and compared.is_interrupted()) or all_bans().exists()


def record_bans(texts: list[str]) -> None:
    """Record that entries are banned."""
    at = utc_now()
    Ban.objects.bulk_create(
        [Ban(entry=text, banned_at=at) for text in texts], ignore_conflicts=True
    )


def is_lost(action: BanAction) -> bool:
    """Tell whether there are bans, and the action says that they are not in force."""
    return not action.is_in_force() and all_bans().exists()


def _one_by_one(
    action: BanAction, protection: Protection, keep: Keep, is_repeated: bool
) -> BanReport:
    report = BanReport(unbanned=_end(action.unban, action.batch_size, protection, keep))
    if is_repeated:
        recorded = entries(all_bans())
        report.repeated = _in_batches(recorded, action.batch_size, action.ban, _nothing, keep)
    report.banned = _begin(action.ban, action.batch_size, protection, keep, report.skipped)
    return report


def _replace(action: BanAction, protection: Protection, keep: Keep, is_repeated: bool) -> BanReport:
    if not (is_repeated or _is_left(protection)):
        return BanReport(skipped=_skipped_counts(protection))
    count_before = all_bans().count() if is_repeated else 0
    action.replace(_kept(harmless(entries(wanted()), protection), keep))
    report = BanReport(unbanned=_end(_nothing, ROWS, protection, keep))
    report.repeated = max(0, count_before - report.unbanned)
    report.banned = _begin(_nothing, ROWS, protection, keep, report.skipped)
    return report


def _end(unban: Callable[[list[str]], None], size: int, protection: Protection, keep: Keep) -> int:
    protected = protected_bans(protection) if compared.is_new(protection) else ()
    return _in_batches(chain(entries(not_wanted()), protected), size, unban, _forget, keep)


def _begin(
    ban: Callable[[list[str]], None],
    size: int,
    protection: Protection,
    keep: Keep,
    skipped: Counter[Reason],
) -> int:
    texts = to_ban(protection, lambda _, reason: skipped.update([reason]))
    return _in_batches(texts, size, ban, record_bans, keep)


def _in_batches(
    texts: Iterator[str],
    size: int,
    act: Callable[[list[str]], None],
    record: Callable[[list[str]], None],
    keep: Keep,
) -> int:
    count = 0
    lost: NotInForce | None = None
    while batch := list(islice(texts, size)):
        missing = frozenset[str]()
        # Killed in between, the action is asked for the same entries again, which changes nothing.
        try:
            act(batch)
        except NotInForce as error:
            lost, missing = lost | error if lost else error, error.entries
        done = [text for text in batch if text not in missing]
        with atomic():
            keep()
            record(done)
            _forget(list(missing))
        count += len(done)
    if lost:
        raise lost
    return count


def _skipped_counts(protection: Protection) -> Counter[Reason]:
    """Return how many entries that are listed are never banned, by the reason."""
    counts = Counter[Reason]()
    for _ in to_ban(protection, lambda _, reason: counts.update([reason])):
        pass
    return counts


def _is_left(protection: Protection) -> bool:
    """Tell whether the lists and the table of bans differ."""
    if any(True for _ in harmless(entries(not_banned()), protection)) or not_wanted().exists():
        return True
    return compared.is_new(protection) and any(True for _ in protected_bans(protection))


def _forget(texts: list[str]) -> None:
    Ban.objects.filter(entry__in=texts).delete()


def _nothing(_: list[str]) -> None:
    """Do what was done for all at once."""


def _kept(texts: Iterable[str], keep: Keep) -> Iterator[str]:
    for number, text in enumerate(texts, 1):
        yield text
        if number % KEEP_ENTRIES == 0:
            keep()


def _locked(keep: Keep, wait_seconds: float | None) -> AbstractContextManager[None]:
    return exclusive_lock(
        conf.var_dir() / ".bans.lock",
        busy=BanBusy("another process is banning at this moment"),
        wait_seconds=WAIT_SECONDS if wait_seconds is None else wait_seconds,
        waiting=keep,
    )
