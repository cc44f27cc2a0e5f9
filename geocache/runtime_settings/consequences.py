"""What a change of a setting does that cannot be taken back, or that opens the site."""

from collections.abc import Callable
from ipaddress import collapse_addresses
from typing import Any, Final

from django.utils.translation import gettext, ngettext

from geocache import conf
from geocache.bans.protection import ALL_OF, networks_of
from geocache.maintenance.prune import count_unseen
from geocache.models import Ban, FlushRun
from geocache.runtime_settings import catalogue
from geocache.runtime_settings.kinds import grouped

RATES: Final = ("PUBLIC_LOOKUP_RATE", "PUBLIC_TOTAL_RATE", "PUBLIC_QUERY_RATE")


def consequence(name: str, value: Any) -> str:
    """Say what happens when ``value`` counts instead of the present one; the empty text: nothing.

    To count what would be deleted reads an index of the table: not for each page.
    """
    now = conf.get(name)
    if value == now or catalogue.problem(name, value):
        return ""
    foresee = FORESEEN.get(name)
    return foresee(value, now) if foresee else ""


def _public_lookup(value: bool, _now: bool) -> str:
    if not value:
        return ""
    said = gettext(
        "All visitors of this site can then look up addresses without logging in: "
        "%(visitor)s each, %(total)s together, paid queries %(query)s."
    )
    visitor, total, query = (catalogue.shown(name, conf.get(name)) for name in RATES)
    return said % {"visitor": visitor, "total": total, "query": query}


def _public_rate(value: str | None, _now: Any) -> str:
    if value or not conf.get("PUBLIC_LOOKUP"):
        return ""
    return gettext("The look-up is public: visitors are then not limited by this setting.")


def _bans_enabled(value: bool, _now: bool) -> str:
    if value or not conf.get("BAN_ACTION"):
        return ""
    count = Ban.objects.count()
    said = ngettext(
        "%(count)s ban ends within a minute, and nothing is banned until this is on again.",
        "%(count)s bans end within a minute, and nothing is banned until this is on again.",
        count,
    )
    return said % {"count": grouped(count)}


def _licence(value: bool, _now: bool) -> str:
    if value:
        return gettext(
            "Rows, history and replaced files that are older than their licence allows are "
            "refreshed or deleted within six hours."
        )
    return gettext(
        "Data that its licence does not allow to keep stays: you have to remove it yourself."
    )


def _retention(value: int, now: int) -> str:
    if not value or (now and value >= now):
        return ""
    count = count_unseen(value)
    said = ngettext(
        "%(count)s address that was not requested for %(days)s days is deleted by the next run "
        "of the daily job. This cannot be undone.",
        "%(count)s addresses that were not requested for %(days)s days are deleted by the next "
        "run of the daily job. This cannot be undone.",
        count,
    )
    return said % {"count": grouped(count), "days": grouped(value)}


def _history(value: float, now: float) -> str:
    if value >= now:
        return ""
    said = gettext(
        "Runs that are older than %(days)s days are deleted by the next run of the daily job. This "
        "cannot be undone."
    )
    return said % {"days": grouped(value)} if FlushRun.objects.exists() else ""


def _widest(value: int, now: int) -> str:
    if value >= now:
        return ""
    said = gettext("A blocklist can then have networks as wide as /%(bits)d banned.")
    return said % {"bits": value}


def _never_ban(value: list[str], _now: Any) -> str:
    networks = networks_of("NEVER_BAN", value)
    for version, everything in ALL_OF.items():
        merged: Any = collapse_addresses(one for one in networks if one.version == version)
        if everything in merged:
            return gettext("This holds all of IPv%(version)d: none of it is ever banned.") % {
                "version": version
            }
    return ""


FORESEEN: Final[dict[str, Callable[[Any, Any], str]]] = {
    "PUBLIC_LOOKUP": _public_lookup,
    **dict.fromkeys(RATES, _public_rate),
    "BANS_ENABLED": _bans_enabled,
    "LICENCE_CLEANUP": _licence,
    "RETENTION_DAYS": _retention,
    "HISTORY_DAYS": _history,
    "BAN_WIDEST_IPV4": _widest,
    "BAN_WIDEST_IPV6": _widest,
    "NEVER_BAN": _never_ban,
}
