"""Ban what is on a list, once, and end the ban when it is on none; off unless a setting says so.

What is banned is a table of its own. Whatever was killed or failed, the difference between what is
listed and what is banned is what is left to do.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final

from django.db import models
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.module_loading import import_string

from geocache import conf
from geocache.addresses import ALL_IPV4_MAPPED, SPECIAL_NETWORKS, parse_network
from geocache.bans.base import BanAction
from geocache.exceptions import BanError, InvalidAddress, NotInForce
from geocache.locks.file_lock import exclusive_lock
from geocache.models import Ban, ListedAddress
from geocache.models.connection import atomic, writing_alias

ROWS: Final = 2_000
# How long one waits for the bans of another import on this machine.
WAIT_SECONDS: Final = 60.0

# Is called with each batch, in its transaction.
Keep = Callable[[], object]


@dataclass(slots=True)
class BanReport:
    """How many bans were applied and ended."""

    banned: int = 0
    unbanned: int = 0


def current() -> BanAction | None:
    """Return the action that the settings name, or None; raise ``BanError``."""
    configured = conf.get("BAN_ACTION")
    if not configured:
        return None
    try:
        action = import_string(configured["BACKEND"])(**configured.get("OPTIONS", {}))
    except (ImportError, KeyError, TypeError) as error:
        raise BanError(f"BAN_ACTION makes no sense: {error}") from error
    if not isinstance(action, BanAction):
        raise BanError(f"BAN_ACTION: {configured['BACKEND']} is no BanAction")
    return action


def check() -> None:
    """Raise ``BanError`` when the settings for bans make no sense."""
    current()
    _protection()


def are_due() -> bool:
    """Tell whether something is listed and not banned, or the other way round."""
    if not conf.get("BAN_ACTION"):
        return False
    return any(True for _ in _pages(_to_ban(), 1)) or _to_unban().exists()


def apply_bans(keep: Keep = lambda: None) -> BanReport:
    """Ban what is listed and not banned, end the bans of what is on no list any more.

    ``keep`` is called with each batch. Raises ``BanError``; what was applied is recorded.
    """
    action = current()
    if action is None:
        return BanReport()
    lock = exclusive_lock(
        conf.var_dir() / ".bans.lock",
        busy=BanError("another import is banning at this moment"),
        wait_seconds=WAIT_SECONDS,
        waiting=keep,
    )
    # What is banned is this machine's, for all imports together.
    with lock:
        if action.is_whole:
            return _replace(action, keep)
        to_ban = _pages(_to_ban(), action.batch_size, action.takes)
        to_unban = _pages(_to_unban(), action.batch_size)
        return BanReport(
            unbanned=_in_batches(to_unban, action.unban, _forget, keep),
            banned=_in_batches(to_ban, action.ban, record_bans, keep),
        )


def _in_batches(
    pages: Iterator[list[str]],
    act: Callable[[list[str]], None],
    record: Callable[[list[str]], None],
    keep: Keep,
) -> int:
    count = 0
    lost: NotInForce | None = None
    for entries in pages:
        missing = frozenset[str]()
        # Killed in between, the action is asked for the same entries again, which changes nothing.
        try:
            act(entries)
        except NotInForce as error:
            lost, missing = lost | error if lost else error, error.entries
        done = [entry for entry in entries if entry not in missing]
        with atomic():
            keep()
            record(done)
            _forget(list(missing))
        count += len(done)
    if lost:
        raise lost
    return count


def _replace(action: BanAction, keep: Keep) -> BanReport:
    to_ban, to_unban = _to_ban(), _to_unban()
    if not (any(True for _ in _pages(to_ban, 1)) or to_unban.exists()):
        return BanReport()
    wanted = ListedAddress.objects.using(writing_alias()).filter(is_listed=True)
    action.replace(entry for page in _pages(wanted, ROWS) for entry in page)
    return BanReport(
        unbanned=_in_batches(_pages(to_unban, ROWS), lambda _: None, _forget, keep),
        banned=_in_batches(_pages(to_ban, ROWS), lambda _: None, record_bans, keep),
    )


def record_bans(entries: list[str]) -> None:
    """Record that entries are banned."""
    at = timezone.now()
    bans = [Ban(entry=entry, banned_at=at) for entry in entries]
    Ban.objects.bulk_create(bans, ignore_conflicts=True)


def _forget(entries: list[str]) -> None:
    Ban.objects.filter(entry__in=entries).delete()


def _to_ban() -> "models.QuerySet[Any]":
    banned = Ban.objects.filter(entry=OuterRef("entry"))
    listed = ListedAddress.objects.using(writing_alias()).filter(is_listed=True)
    return listed.exclude(Exists(banned))


def _to_unban() -> "models.QuerySet[Any]":
    listed = ListedAddress.objects.filter(entry=OuterRef("entry"), is_listed=True)
    return Ban.objects.using(writing_alias()).exclude(Exists(listed))


def _pages(
    rows: "models.QuerySet[Any]", size: int, takes: Callable[[str], bool] = lambda _: True
) -> Iterator[list[str]]:
    """Give the entries that may be banned, each once, in the order of their texts."""
    is_protected = _protection()
    last, page = "", list[str]()
    while found := list(
        rows.filter(entry__gt=last)
        .order_by("entry")
        .values_list("entry", flat=True)
        .distinct()[:ROWS]
    ):
        last = found[-1]
        for entry in found:
            if not is_protected(entry) and takes(entry):
                page.append(entry)
            if len(page) == size:
                yield page
                page = []
    if page:
        yield page


def _protection() -> Callable[[str], bool]:
    """Return what tells whether an entry is never banned: this machine's own, or the setting's."""
    try:
        networks = [parse_network(text) for text in conf.get("NEVER_BAN")]
    except InvalidAddress as error:
        raise BanError(f"NEVER_BAN: {error}") from error
    networks += [ip_network(text) for text, _ in SPECIAL_NETWORKS]
    # What is inside is parsed as IPv4; what is wider would ban all of IPv4.
    networks.append(ALL_IPV4_MAPPED)
    ranges = {
        version: sorted(
            (int(one.network_address), int(one.broadcast_address))
            for one in networks
            if one.version == version
        )
        for version in (4, 6)
    }

    def is_protected(entry: str) -> bool:
        network = parse_network(entry)
        first, last = int(network.network_address), int(network.broadcast_address)
        return any(low <= last and first <= high for low, high in ranges[network.version])

    return is_protected
