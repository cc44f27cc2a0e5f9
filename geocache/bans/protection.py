"""What is never banned, whatever a list says: for each such entry, why."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import chain
from socket import AF_INET, inet_pton
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from geocache import client_ip, conf
from geocache.addresses import SPECIAL_NETWORKS, parse_network
from geocache.addresses.blocks import parse_entries
from geocache.addresses.embedded import NAT64, embedded_ipv4
from geocache.addresses.parsing import GLOBAL_UNICAST_V6
from geocache.bans.own_addresses import read_own_addresses
from geocache.bans.ranges import Network, Range, Ranges
from geocache.exceptions import BanError, InvalidAddress
from geocache.setting_bounds import PREFIX_LENGTHS, is_score

# Tells whether an entry can be banned at all.
Takes = Callable[[str], bool]

# Those that are read for bans alone.
SETTINGS: Final = ("NEVER_BAN", "BAN_ALLOW_WIDE", *PREFIX_LENGTHS, "BAN_MIN_SCORES")
ALL_OF: Final[dict[int, Network]] = {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("::/0")}


class Reason(StrEnum):
    """Why an entry is not banned; the words of JSON."""

    SPECIAL = "special"
    NEVER_BAN = "never_ban"
    TRUSTED_PROXY = "trusted_proxy"
    THIS_MACHINE = "this_machine"
    TOO_WIDE_IPV4 = "too_wide_ipv4"
    TOO_WIDE_IPV6 = "too_wide_ipv6"
    LOW_SCORE = "low_score"
    NOT_TAKEN = "not_taken"


def described(counts: Mapping[Reason, int]) -> str:
    """Say how many entries are not banned: ``3 not banned: 1 wider than /8, 2 private ...``."""
    phrases = {
        Reason.SPECIAL: "private or special",
        Reason.NEVER_BAN: "overlapping NEVER_BAN",
        Reason.TRUSTED_PROXY: "overlapping TRUSTED_PROXIES",
        Reason.THIS_MACHINE: "overlapping an address of this machine",
        Reason.TOO_WIDE_IPV4: f"wider than /{conf.get('BAN_WIDEST_IPV4')}",
        Reason.TOO_WIDE_IPV6: f"wider than /{conf.get('BAN_WIDEST_IPV6')} (IPv6)",
        Reason.LOW_SCORE: "below BAN_MIN_SCORES",
        Reason.NOT_TAKEN: "that the ban action cannot take",
    }
    parts = [f"{counts[one]:,} {phrases[one]}" for one in Reason if counts.get(one)]
    return f"{sum(counts.values()):,} not banned: {', '.join(parts)}"


class Protection:
    """The networks that nothing banned may overlap, how wide it may be, and what can be banned."""

    def __init__(
        self,
        networks: dict[Reason, list[Network]],
        *,
        widest: dict[int, int],
        allowed_wide: list[Network],
        takes: Takes,
    ) -> None:
        ranges = {reason: _ranges(each) for reason, each in networks.items()}
        self._ranges = {reason: Ranges(each) for reason, each in ranges.items()}
        self._all = Ranges(chain.from_iterable(ranges.values()))
        self._widest = widest
        self._allowed_wide = allowed_wide
        self._takes = takes

    @property
    def digest(self) -> str:
        """Return a text that is another one as soon as anything else is protected."""
        # Any network stands for all: an action takes them or does not.
        takes_networks = self._takes("9.9.9.0/24")
        wide = sorted(map(str, self._allowed_wide))
        parts = (self._all, self._widest, wide, takes_networks)
        return sha256(repr(parts).encode()).hexdigest()

    def reason(self, entry: str) -> Reason | None:
        """Return why ``entry``, in the form of the table, is never banned, or None."""
        try:
            reason = self._reason(entry)
        except (OSError, ValueError):
            # A row that another program has written keeps no other from being banned.
            return Reason.NOT_TAKEN
        return reason or (None if self._takes(entry) else Reason.NOT_TAKEN)

    def _reason(self, entry: str) -> Reason | None:
        if ":" not in entry and self._is_harmless(entry):
            return None
        network = parse_network(entry)
        meant = [Range.of(one) for one in (network, *embedded_ipv4(network))]
        for reason, ranges in self._ranges.items():
            if any(map(ranges.overlap, meant)):
                return reason
        if [one.text for one in parse_entries(entry)] != [entry]:
            # What fills the firewall may read another form in another way, or not at all.
            return Reason.NOT_TAKEN
        if network.prefixlen >= self._widest[network.version] or self._is_allowed(network):
            return None
        return Reason.TOO_WIDE_IPV4 if network.version == 4 else Reason.TOO_WIDE_IPV6

    def _is_harmless(self, entry: str) -> bool:
        """Tell it of most of IPv4, in a tenth of the time that ``parse_network`` takes."""
        text, slash, digits = entry.partition("/")
        first, length = int.from_bytes(inet_pton(AF_INET, text)), int(digits) if slash else 32
        host_bits = (1 << 32 - length) - 1
        if first & host_bits or (slash and digits != str(length)):
            return False
        return length >= self._widest[4] and not self._all.overlap(
            Range(4, first, first | host_bits)
        )

    def _is_allowed(self, network: Network) -> bool:
        return any(_is_inside(network, one) for one in self._allowed_wide)

    def covered_versions(self) -> list[tuple[str, int]]:
        """Return the settings that protect all of a version of IP, each with that version."""
        settings = {Reason.NEVER_BAN: "NEVER_BAN", Reason.TRUSTED_PROXY: "TRUSTED_PROXIES"}
        return [
            (name, version)
            for reason, name in settings.items()
            for version, everything in ALL_OF.items()
            if self._ranges[reason].cover(Range.of(everything))
        ]


def read_protection(takes: Takes = lambda _: True) -> Protection:
    """Return what the settings and this machine protect, and what an action ``takes``.

    Raises ``BanError``.
    """
    return Protection(
        {
            Reason.SPECIAL: _special(),
            Reason.NEVER_BAN: networks_of("NEVER_BAN", conf.get("NEVER_BAN")),
            Reason.TRUSTED_PROXY: _proxies(),
            Reason.THIS_MACHINE: [ip_network(one) for one in read_own_addresses().addresses],
        },
        widest=_widest(),
        allowed_wide=networks_of("BAN_ALLOW_WIDE", conf.get("BAN_ALLOW_WIDE")),
        takes=takes,
    )


def check_settings() -> None:
    """Raise ``BanError`` when a setting that is read for bans alone makes no sense."""
    for setting in SETTINGS:
        check_setting(setting, conf.get(setting))


def check_setting(setting: str, value: Any) -> None:
    """Raise ``BanError`` when one of ``SETTINGS`` cannot be ``value``."""
    if setting in PREFIX_LENGTHS:
        _length(setting, value)
    elif setting == "BAN_MIN_SCORES":
        _check_scores(value)
    else:
        networks_of(setting, value)


def _check_scores(scores: Mapping[str, Any]) -> None:
    for name, score in scores.items():
        if not is_score(score):
            raise BanError(f"BAN_MIN_SCORES: {score!r} of the list {name!r} is not a number")


def _special() -> list[Network]:
    """Return the special networks, and all of IPv6 that no public address is in."""
    networks = [ip_network(text) for text, _ in SPECIAL_NETWORKS]
    public = (GLOBAL_UNICAST_V6, NAT64)
    rest: list[Network] = [ALL_OF[6]]
    for one in public:
        rest = [part for each in rest for part in _without(each, one)]
    return networks + rest


def _without(network: Network, hole: Network) -> Iterable[Network]:
    return network.address_exclude(hole) if _is_inside(hole, network) else [network]  # type: ignore[arg-type]


def networks_of(setting: str, texts: Iterable[str]) -> list[Network]:
    """Return the networks that ``texts`` of a setting name, in any form that a list may have.

    Raises ``BanError``.
    """
    try:
        entries = [one for text in texts for one in parse_entries(str(text).strip())]
    except InvalidAddress as error:
        raise BanError(f"{setting}: {error}") from error
    return [parse_network(one.text) for one in entries]


def _proxies() -> list[Network]:
    try:
        return list(client_ip.networks(tuple(conf.get("TRUSTED_PROXIES"))))
    except ImproperlyConfigured as error:
        raise BanError(str(error).rstrip(".")) from error


def _widest() -> dict[int, int]:
    names = {4: "BAN_WIDEST_IPV4", 6: "BAN_WIDEST_IPV6"}
    return {version: _length(name, conf.get(name)) for version, name in names.items()}


def _length(setting: str, value: Any) -> int:
    bounds = PREFIX_LENGTHS[setting]
    if not bounds.takes(value):
        raise BanError(f"{setting} is {value!r}, not {bounds.words}")
    return int(value)


def _ranges(networks: list[Network]) -> list[Range]:
    """Return ranges, also of the IPv4 networks that NAT64 names; all of it names none by itself."""
    named = [
        inside
        for one in networks
        if one.version == 6 and one.subnet_of(NAT64) and one != NAT64
        for inside in embedded_ipv4(one)
    ]
    return [Range.of(one) for one in (*networks, *named)]


def _is_inside(network: Network, outer: Network) -> bool:
    return network.version == outer.version and network.subnet_of(outer)  # type: ignore[arg-type]
