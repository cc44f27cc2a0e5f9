"""What kinds of network, users and connections are called on pages, in the reader's language."""

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.utils.formats import date_format, number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from geocache.traits import ANONYMOUS, HOSTING

# What a badge looks like: of one behind which people hide, of a data centre, of all others.
ATTENTION: Final = "attention"
NEUTRAL: Final = "neutral"
QUIET: Final = "quiet"

# The explanation is a tooltip: pages with room for it show it as text.
BADGE: Final = '<li class="geo-badge is-{}" title="{}">{}</li>'

# How a database writes a day.
DAY: Final = "%Y-%m-%d"

# The name of each known label, and one sentence for those to whom that says nothing.
TRAITS: Final = {
    "anonymous": (
        _("Anonymous"),
        _("People use this address to hide where they are: a VPN, a proxy or Tor."),
    ),
    "anonymous_proxy": (
        _("Anonymous proxy"),
        _("A proxy that hides the address of the person behind it."),
    ),
    "anonymous_vpn": (
        _("VPN"),
        _("The exit of a VPN: the person behind it may be anywhere."),
    ),
    "anycast": (
        _("Anycast"),
        _("Many machines in many places answer to this address, so it has no single place."),
    ),
    "bot": (_("Bot"), _("A program that visits pages by itself.")),
    "cloud": (_("Cloud"), _("A machine in a data centre, not the device of a person.")),
    "consumer_privacy_network": (
        _("Privacy relay"),
        _("A relay of a browser or a phone that hides the address of the person behind it."),
    ),
    "hosting": (_("Data centre"), _("A machine in a data centre, not the device of a person.")),
    "hosting_provider": (
        _("Data centre"),
        _("A machine in a data centre, not the device of a person."),
    ),
    "legitimate_proxy": (
        _("Company proxy"),
        _("The proxy of a company or a school, through which its people reach the internet."),
    ),
    "mobile": (_("Mobile network"), _("A phone, or another device in a mobile network.")),
    "proxy": (_("Proxy"), _("A proxy that hides the address of the person behind it.")),
    "public_proxy": (
        _("Public proxy"),
        _("An open proxy that hides the address of the person behind it."),
    ),
    "relay": (
        _("Privacy relay"),
        _("A relay of a browser or a phone that hides the address of the person behind it."),
    ),
    "residential_proxy": (
        _("Residential proxy"),
        _("The connection of a household that others use as a proxy."),
    ),
    "satellite": (
        _("Satellite"),
        _("A connection by satellite: its user may be in another country."),
    ),
    "satellite_provider": (
        _("Satellite"),
        _("A connection by satellite: its user may be in another country."),
    ),
    "tor": (_("Tor"), _("A part of the Tor network: the person behind it may be anywhere.")),
    "tor_exit_node": (
        _("Tor exit"),
        _("An exit of the Tor network: the person behind it may be anywhere."),
    ),
    "vpn": (_("VPN"), _("The exit of a VPN: the person behind it may be anywhere.")),
    "web_proxy": (_("Web proxy"), _("A site that fetches pages for others.")),
}
USER_TYPES: Final = {
    "business": _("Company"),
    "cafe": _("Café"),
    "cellular": _("Mobile network"),
    "college": _("University"),
    "consumer_privacy_network": _("Privacy relay"),
    "content_delivery_network": _("Content delivery network"),
    "dialup": _("Dial-up"),
    "education": _("School or university"),
    "government": _("Government"),
    "hosting": _("Data centre"),
    "isp": _("Internet provider"),
    "library": _("Library"),
    "military": _("Military"),
    "residential": _("Household"),
    "router": _("Router"),
    "school": _("School"),
    "search_engine_spider": _("Search engine"),
    "traveler": _("Traveller"),
}
# By their lower case: products differ in it.
CONNECTION_TYPES: Final = {
    "cable/dsl": _("Cable or DSL"),
    "cellular": _("Mobile network"),
    "corporate": _("Company network"),
    "dialup": _("Dial-up"),
    "satellite": pgettext_lazy("connection", "Satellite"),
}
# Of what only some products state. A score or a risk has no unit.
DETAILS: Final = {
    "anonymizer_confidence": _("Certainty that it is anonymous (%)"),
    "average_income": _("Average income (US$ a year)"),
    "city_confidence": _("Certainty of the city (%)"),
    "confidence": _("Certainty (%)"),
    "country_confidence": _("Certainty of the country (%)"),
    "ip_risk": _("Risk (0 to 100)"),
    "ip_risk_snapshot": _("Risk (0 to 100)"),
    "ipv4_24": _("Users of its /24 network, about"),
    "ipv4_32": _("Users of the address, about"),
    "ipv6_32": _("Users of its /32 network, about"),
    "ipv6_48": _("Users of its /48 network, about"),
    "ipv6_64": _("Users of its /64 network, about"),
    "last_seen": _("Last seen as such"),
    "network_last_seen": _("Last seen as such"),
    "population_density": _("People per square kilometre"),
    "postal_confidence": _("Certainty of the postal code (%)"),
    "provider_name": _("Name of the provider"),
    "region_confidence": _("Certainty of the region (%)"),
    "risk": _("Risk (0 to 100)"),
    "score": _("Score"),
    "static_ip_score": _("How lasting the address is (0 to 99.99)"),
    "subdivision_confidence": _("Certainty of the region (%)"),
    "user_count": _("Users within a day, about"),
}


def trait_name(trait: str) -> str:
    """Return the name of a trait for people; an unknown one in words."""
    known = TRAITS.get(trait)
    return str(known[0]) if known else in_words(trait)


def trait_explanation(trait: str) -> str:
    """Return one sentence that says what a trait means, empty for an unknown one."""
    known = TRAITS.get(trait)
    return str(known[1]) if known else ""


def trait_look(trait: str) -> str:
    """Return what the badge of a trait looks like: attention, neutral or quiet."""
    if trait in ANONYMOUS:
        return ATTENTION
    return NEUTRAL if trait in HOSTING else QUIET


def most_telling(traits: Iterable[str]) -> list[str]:
    """Return traits as they are shown: first those that call for attention, then data centres.

    ``anonymous`` is left out where another one says how.
    """
    looks = (ATTENTION, NEUTRAL, QUIET)
    given = sorted(traits, key=lambda trait: (looks.index(trait_look(trait)), trait))
    says_how = any(trait in ANONYMOUS and trait != "anonymous" for trait in given)
    return [trait for trait in given if not (says_how and trait == "anonymous")]


def badges(traits: Iterable[str], url: str = "") -> SafeString:
    """Return a badge for each trait, or no text if there is none.

    With ``url``, that of the list of addresses, each links to all that share it.
    """
    shown = format_html_join("", BADGE, (_badge(trait, url) for trait in most_telling(traits)))
    return format_html('<ul class="geo-badges">{}</ul>', shown) if shown else shown


def _badge(trait: str, url: str) -> tuple[str, str, str]:
    name = trait_name(trait)
    query = urlencode({"trait": trait})
    link = format_html('<a href="{}?{}">{}</a>', url, query, name) if url else name
    return trait_look(trait), trait_explanation(trait), link


def user_type_name(user_type: str) -> str:
    """Return what kind of people use a network; an unknown one in words."""
    return str(USER_TYPES.get(user_type.lower()) or in_words(user_type))


def connection_type_name(connection_type: str) -> str:
    """Return how a network is connected; an unknown kind in words."""
    return str(CONNECTION_TYPES.get(connection_type.lower()) or in_words(connection_type))


def detail_name(name: str) -> str:
    """Return what a detail of an answer is, with its unit; an unknown one in words."""
    return str(DETAILS.get(name) or in_words(name))


def detail_value(value: object) -> str:
    """Return the value of a detail as the reader's language writes it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, int | float) and math.isfinite(value):
        return number_format(value, force_grouping=True)
    return _day(value) if isinstance(value, str) else str(value)


def _day(text: str) -> str:
    """Return a day such as 2025-05-11 as the reader's language writes it; any other text as it is.

    So a database names when an address was last seen.
    """
    try:
        return date_format(datetime.strptime(text, DAY), gettext("Y-m-d"))
    except ValueError:
        return text


def in_words(name: str) -> str:
    """Return a name such as ``crawler_farm`` as words: Crawler farm."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
