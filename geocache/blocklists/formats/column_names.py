"""What columns of tables and keys of JSON objects are called, and what their values mean."""

import re
from collections.abc import Container, Iterable
from functools import lru_cache
from typing import Final

from geocache.blocklists.formats.words import OTHER_ANSWERS, means_exempt


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Written as ``plain_name`` writes them: ``IP address`` and ``ip_address`` are one.
ADDRESS: Final = frozenset(
    _names(
        "ip ipaddress ipaddr ipv4 ipv6 ip4 ip6 ipv4address ipv6address address addr cidr cidrs"
        " network networks net netblock subnet prefix prefixes ipprefix ipv4prefix ipv6prefix"
        " ipv4cidr ipv6cidr iprange range ipcidr cidrblock ipornetwork iporcidr"
    )
)
# Lists of texts in JSON.
ADDRESS_LISTS: Final = ADDRESS | frozenset(
    _names(
        "ips ipaddresses addresses addrs subnets nets ranges ipranges ipv4s ipv6s ipprefixes"
        " ipv4prefixes ipv6prefixes ipv4cidrs ipv6cidrs addressprefixes ipv4addresses ipv6addresses"
        " data items results entries list values new blocked blocklist blacklist banned bans deny"
        " denylist denied drop"
    )
)
MASK: Final = frozenset(
    _names(
        "mask netmask subnetmask networkmask hostmask wildcard prefixlength prefixlen prefix"
        " masklength masklen cidr netblock bits netzmaske maske"
    )
)
SCORE: Final = _names(
    "score abuseconfidencescore confidence confidencescore count reports totalreports numreports"
    " hits attacks events eventscount eventcount total occurrences weight risk riskscore anzahl"
)
COMMENT: Final = _names(
    "comment comments reason description scenario note notes remark category categories threat"
    " malware sblid name grund bemerkung kommentar beschreibung"
)
# What is done with an address, and of which list it is.
ACTION: Final = frozenset(
    _names(
        "action decision verdict policy disposition aktion target access mode status op operation"
        " rule classification"
    )
)
# Of these, such words as "ok" say that a request or a test was answered.
STATES: Final = frozenset(_names("mode status op operation rule classification"))
KIND: Final = ACTION | frozenset(_names("type list listtype"))
# Measures that are no bans.
OTHER_MEASURES: Final = frozenset(
    _names(
        "captcha challenge monitor log alert throttle simulate simulated none count delete deleted"
        " remove removed expired inactive disabled revoked return"
    )
)
IS_EXEMPT: Final = frozenset(
    _names(
        "whitelisted iswhitelisted allowed isallowed allowlisted isallowlisted excluded isexcluded"
        " exempt ignored isignored exception deleted isdeleted removed isremoved revoked isrevoked"
        " expired isexpired simulated falsepositive isfalsepositive disabled isdisabled erlaubt"
        " trusted istrusted safe issafe benign isbenign whitelist allowlist permitted ispermitted"
        " bypass bypassed exempted"
    )
)
IS_LISTED: Final = frozenset(
    _names("enabled isenabled active isactive banned isbanned blocked isblocked blacklisted toids")
)
TRUE: Final = frozenset({"true", "yes", "1", "y", "t", "on", "ja"})
FALSE: Final = frozenset({"false", "no", "0", "n", "f", "off", "nein"})
# Of an address that is a key; a number may be a count.
DENIALS: Final = FALSE - {"0"}
# What names of lists have that hold what is not to be listed: at the start, or anywhere.
EXEMPT_STARTS: Final = _names(
    "accept allow bypass except exclu exempt good ignor never noban permit safe trust unban unblock"
    " white"
)
EXEMPT_ENDS: Final = _names("allowlist whitelist")
# A part of a name such as ``my_allow4``, ``ipAllow``, ``ALLOW-IPS``.
NAME_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
EXEMPT_PART: Final = re.compile(r"(?<!dis)(?<!un)(?<!not)(?:allow|exempt|ignore|permit|whitelist)")
# How long CrowdSec's decisions go on.
REMAINING: Final = frozenset({"duration", "expiration"})
# The columns that ``is_exempt`` looks at.
FLAGS: Final = KIND | IS_EXEMPT | IS_LISTED | REMAINING
ENDS: Final = (
    ("start", "end"),
    ("first", "last"),
    ("from", "to"),
    ("begin", "end"),
    ("low", "high"),
)
# A longer name is none of these.
MAX_NAME: Final = 80


def plain_name(name: str) -> str:
    """Return a name in small letters, without spaces, dashes and underscores."""
    return _plain(name[:MAX_NAME])


@lru_cache(4096)
def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _range_names() -> dict[str, str]:
    forms: tuple[str, ...] = (
        "{}",
        "{}ip",
        "ip{}",
        "{}address",
        "{}addr",
        "{}range",
        "range{}",
        "network{}",
    )
    forms += ("{}ipaddress", "network{}ip", "ipaddress{}", "address{}", "net{}", "iprange{}")
    return {form.format(a): form.format(b) for a, b in ENDS for form in forms}


# The name of the last address of a range, by that of the first.
RANGES: Final = _range_names()


def is_exempt(cells: Iterable[tuple[str, str]]) -> bool:
    """Tell whether a row, as plain names with values, says that it is not to be listed."""
    return any(name in FLAGS and _is_exempt(name, value.strip()) for name, value in cells)


def _is_exempt(name: str, value: str) -> bool:
    word = plain_name(value)
    if name in STATES and word in OTHER_ANSWERS:
        return False
    if name in KIND:
        return (
            means_exempt(word) or word == "captcha" or (name in ACTION and word in OTHER_MEASURES)
        )
    if name in REMAINING:
        return value.startswith("-")
    return word in (TRUE if name in IS_EXEMPT else FALSE)


def is_exempt_list(name: str) -> bool:
    """Tell whether a list of this name holds what is not to be listed."""
    is_meant = name.startswith(EXEMPT_STARTS) or EXEMPT_PART.search(name)
    return bool(is_meant) or name in IS_EXEMPT or name in OTHER_MEASURES


def is_exempt_set(name: str) -> bool:
    """Tell whether the name of a set of a firewall, or of its table, says that it allows."""
    parts = [part.lower() for part in NAME_PART.findall(name)]
    return any(
        part.startswith(EXEMPT_STARTS) or part.endswith(EXEMPT_ENDS) or means_exempt(part)
        for part in parts
    )


def first_of(names: Iterable[str], held: Container[str]) -> str:
    """Return the first of ``names`` that is held; the empty text if none is."""
    return next((name for name in names if name in held), "")
