"""Why an address has the answer that it has, in words."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from geocache.addresses import special_reason
from geocache.instants import utc_text
from geocache.location import Location
from geocache.lookup.explain import Provenance, Stale
from geocache.lookup.plan import Tier
from geocache.providers.credits import Credits
from geocache.providers.quota import Usage

REASONS: Final = {
    Stale.OLDER_BUILD: "it is of a build that is not in use any more",
    Stale.OLDER_THAN_TTL: "it is older than its time to live",
    Stale.PROVIDER_FAILS: "no newer one can be had: {failure}",
}


def rows(
    address: IPv4Address | IPv6Address, known: Provenance, at: datetime
) -> list[tuple[str, str]]:
    """Return names and values for ``management.tables.pairs``."""
    if known.tier == Tier.SPECIAL:
        said = f"none: such an address ({special_reason(address)}) belongs to no place"
        return [("Address", str(address)), ("Answer", said), ("It costs", "nothing, ever")]
    answer = known.answer()
    return [
        ("Address", str(address)),
        ("Answer", "none is remembered" if answer is None else _place(answer)),
        *(_traits(answer) if answer is not None else []),
        *(origin_of(answer, at) if answer is not None else []),
        ("Kept in", _kept_in(known)),
        *([("Stale", _stale(known, at))] if answer is not None else []),
        ("Build in use", known.build or f"none: {known.plan.failure}"),
        ("Cache key", known.key or "not known"),
        ("A look-up now", _way(known)),
        ("It costs", _cost(known)),
    ]


def labels(given: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    """Return which labels which lists give to the address: one pair, or none without any."""
    said = "\n".join(f"{label}: on {', '.join(names)}" for label, names in given.items())
    return [("Labels", said)] if said else []


def _traits(answer: Location) -> list[tuple[str, str]]:
    return [("Traits", ", ".join(answer.traits))] if answer.traits else []


def _fields_from(answer: Location) -> list[tuple[str, str]]:
    fields: dict[str, list[str]] = {}
    for field, source in answer.field_sources.items():
        fields.setdefault(source, []).append(field)
    said = "\n".join(f"{source}: {', '.join(names)}" for source, names in fields.items())
    return [("Fields from", said)] if said else []


def _place(answer: Location) -> str:
    operator = f"AS{answer.asn} {answer.organization}" if answer.asn else answer.organization
    parts = (answer.city, answer.region, answer.country_code, operator.strip())
    return ", ".join(filter(None, parts)) if answer else f"nothing known: {answer.reason}"


def origin_of(answer: Location, at: datetime) -> list[tuple[str, str]]:
    """Return where an answer comes from and how old it is, as pairs of a label and a text."""
    age = timedelta(seconds=round((at - answer.resolved_at).total_seconds()))
    return [
        ("Network", answer.network or "none was named with it"),
        ("Source", answer.source or "not known"),
        *_fields_from(answer),
        *([("Credit", credit)] if (credit := Credits().line(answer.source)) else []),
        ("Age", f"{age} (h:mm:ss), resolved {utc_text(answer.resolved_at)}"),
    ]


def _kept_in(known: Provenance) -> str:
    places = {
        "the cache, as a hot entry": known.hot_entry is not None,
        "the journal: it waits for the next flush": known.pending is not None,
        "the table": known.row is not None,
        "perhaps the journal, which cannot be read now": not known.is_journal_readable,
    }
    return "\n".join(place for place, is_there in places.items() if is_there) or "nothing"


def _stale(known: Provenance, at: datetime) -> str:
    reasons = known.stale(at)
    return "\n".join(REASONS[one].format(failure=known.plan.failure) for one in reasons) or "no"


def _way(known: Provenance) -> str:
    plan = known.plan
    match plan.tier:
        case Tier.HOT_ENTRY:
            return "is answered by the hot entry"
        case Tier.NETWORK if plan.near is not None:
            return f"is answered by what is known of {plan.near.network}: {_place(plan.near)}"
        case Tier.ROW if plan.failure:
            return "is answered by its old row: nobody can be asked"
        case Tier.ROW:
            return "is answered by its row in the table"
        case Tier.PROVIDER:
            return f"asks {plan.usage.provider}" if plan.usage else "asks the provider"
    return f"is not answered: {plan.failure}"


def _cost(known: Provenance) -> str:
    plan = known.plan
    if plan.usage:
        return f"one query of {plan.usage.provider}, {_left(plan.usage)}"
    if plan.near is not None:
        return f"nothing, because {plan.near.network} is known"
    return "nothing"


def _left(usage: Usage) -> str:
    if usage.left_count is None:
        return "which has no limit a day"
    return f"of which {usage.left_count:,} are left today"
