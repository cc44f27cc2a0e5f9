"""What kind of network an address is in, out of data from elsewhere: labels and details.

Labels are those of ``geocache.traits``. Details are what only some products state: by MaxMind's
names where MaxMind has it, too.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Final

from geocache.location import Details, Plain
from geocache.providers.coercion import text, words
from geocache.traits import ANONYMOUS, HOSTING, LABEL, MAX_COUNT, MAX_LENGTH

# What MaxMind has another name for.
SAME: Final = {
    "cloud_provider": "hosting_provider",
    "datacenter": "hosting_provider",
    "hosting": "hosting_provider",
    "proxy": "public_proxy",
    "satellite": "satellite_provider",
    "tor": "tor_exit_node",
    "vpn": "anonymous_vpn",
}
# Of IP2Proxy, as the value of "proxy_type". Source: IP2Location, "IP2Proxy Database".
PROXY_TYPES: Final = {
    "VPN": "anonymous_vpn",
    "TOR": "tor_exit_node",
    "DCH": "hosting_provider",
    "PUB": "public_proxy",
    "WEB": "web_proxy",
    "RES": "residential_proxy",
    "SES": "search_engine_spider",
    "CPN": "consumer_privacy_network",
    "EPN": "enterprise_private_network",
}
# Of a country or of an answer, and not of a network.
NO_LABELS: Final = frozenset(("in_european_union", "eu", "bogon", "default"))
# Without "is_" before it, in flat records and in IPinfo's privacy data.
BARE_FLAGS: Final = frozenset(
    ("anycast", "hosting", "mobile", "proxy", "relay", "satellite", "tor", "vpn")
)
TRUE: Final = ("true", "yes", "1")
# The name of a detail, by the names that products have for it.
DETAILS: Final = {
    **{
        name: name
        for name in (
            *("anonymizer_confidence", "network_last_seen", "provider_name"),
            *("static_ip_score", "user_count", "ip_risk", "ip_risk_snapshot"),
            *("ipv4_24", "ipv4_32", "ipv6_32", "ipv6_48", "ipv6_64"),
            *("average_income", "population_density"),
            *("geo_changed", "as_changed", "carrier", "percent_days_seen", "first_seen"),
            *("threat", "fraud_score", "last_seen", "days"),
        )
    },
    # The file of static IP scores.
    "score": "static_ip_score",
    # IPinfo's and IP2Proxy's.
    "service": "provider_name",
    "anonymous_name": "provider_name",
    "provider": "provider_name",
    "carrier_name": "carrier",
    "mobile_name": "carrier",
}
# All that the file of residential proxies has: who is in it is one.
RESIDENTIAL: Final = frozenset(("anonymizer_confidence", "network_last_seen", "provider_name"))
# Every reader of JSON takes such a whole number as it is. Source: RFC 8259, section 6.
MAX_WHOLE: Final = 2**53 - 1


def label_of(name: str) -> str:
    """Return the label for the name of a flag, with "is_" or without; empty if it is not one."""
    return _label(name) if len(name) <= MAX_LENGTH + 3 else ""


@lru_cache(maxsize=512)
def _label(name: str) -> str:
    bare = name.removeprefix("is_").lower()
    label = SAME.get(bare, bare)
    return label if LABEL.fullmatch(label) and label not in NO_LABELS else ""


def is_flag(name: str) -> bool:
    """Tell whether a value at ``name`` in a flat record says if an address is of some kind."""
    return name.startswith("is_") or name in BARE_FLAGS


def is_true(value: object) -> bool:
    """Tell whether a flag is set: true, 1, or a text that says so."""
    if type(value) is str:
        return len(value) <= 4 and value.lower() in TRUE
    return value is True or (type(value) is int and value == 1)


def proxy_labels(value: object) -> list[str]:
    """Return the labels for a "proxy_type" of IP2Proxy; one that is not known is a label itself."""
    kind = words(value)
    label = PROXY_TYPES.get(kind.upper()) or (label_of(kind) if kind else "")
    return [label] if label else []


def sorted_traits(labels: Iterable[str]) -> tuple[str, ...]:
    """Return labels as an answer has them, of absurdly many those that are known first."""
    kept = sorted(set(labels))
    if len(kept) > MAX_COUNT:
        kept.sort(key=lambda label: label not in ANONYMOUS and label not in HOSTING)
        kept = sorted(kept[:MAX_COUNT])
    return tuple(kept)


def plain_value(value: object) -> Plain:
    """Return a text, a number or a truth that can be stored everywhere, else None."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -MAX_WHOLE <= value <= MAX_WHOLE else None
    if isinstance(value, float):
        # PostgreSQL gives back a greater one as a whole number, which no JSON reader takes.
        return float(value) if -MAX_WHOLE <= value <= MAX_WHOLE else None
    if isinstance(value, date):
        return value.isoformat()
    return words(text(value)) or None


def put_kinds(found: dict[str, Any], given: Mapping[str, Any], *, bare: bool = False) -> None:
    """Put the traits and details of an object into ``found``; with flags such as "vpn" if ``bare``.

    Those that are there already stay.
    """
    labels: list[str] = []
    details: dict[str, Plain] = {}
    for name, value in given.items():
        if name in DETAILS:
            if (plain := plain_value(value)) is not None:
                details.setdefault(DETAILS[name], plain)
        elif (is_flag(name) if bare else name.startswith("is_")) and is_true(value):
            labels.append(label_of(name))
        elif bare and name == "proxy_type":
            labels += proxy_labels(value)
    if details and not labels and "provider_name" in details and RESIDENTIAL.issuperset(given):
        labels.append("residential_proxy")
    put_traits(found, labels)
    put_details(found, details)


def put_traits(found: dict[str, Any], labels: Iterable[str]) -> None:
    """Put labels into ``found``, beside those that are there."""
    if traits := sorted_traits((*found.get("traits", ()), *filter(None, labels))):
        found["traits"] = traits


def put_details(found: dict[str, Any], details: Mapping[str, Plain]) -> None:
    """Put details into ``found``, where they are not there already."""
    if details:
        held = dict(found["details"].items()) if "details" in found else {}
        found["details"] = Details.of({**dict(details.items()), **held})
