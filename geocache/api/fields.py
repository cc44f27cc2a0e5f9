"""What each field of an answer means and in which unit: the one table for all descriptions."""

from typing import Any, Final, NamedTuple

from geocache.location import NOT_FOUND, UNAVAILABLE

DATE_TIME: Final = {"format": "date-time"}


class Field(NamedTuple):
    """What a field means, and what JSON Schema can say of it beside its type."""

    meaning: str
    keywords: dict[str, Any] = {}  # noqa: RUF012 - read only


LOCATION: Final[dict[str, Field]] = {
    "address": Field("The address in its shortest form, such as 81.2.69.142 or 2a02:6b8::1."),
    "resolved_at": Field("When a provider was asked, with the offset from UTC.", DATE_TIME),
    "network": Field(
        "The block for which the answer holds, in CIDR notation; empty if it is not known."
    ),
    "country_code": Field("The country, ISO 3166-1 alpha-2, such as GB; empty if it is not known."),
    "region": Field("The name of the country's part, such as England, or empty."),
    "city": Field("The name of the city, or empty."),
    "postal_code": Field("The postal code, or empty."),
    "latitude": Field("Degrees north of the equator, WGS 84."),
    "longitude": Field("Degrees east of Greenwich, WGS 84."),
    "accuracy_radius_km": Field("How far from these coordinates it may be, in kilometres."),
    "time_zone": Field("The time zone by its name in the IANA database, or empty."),
    "asn": Field("The number of the autonomous system that announces the network."),
    "organization": Field("Who runs the network, or empty."),
    "source": Field("Each database or service that gave the answer, with the day it was built."),
    "reason": Field(
        "Why nothing is known, else empty: `not_found`, `unavailable` (no provider answers), or "
        "what kind of address it is, such as `private`.",
        {"examples": ["", NOT_FOUND, UNAVAILABLE, "private"]},
    ),
    "continent_code": Field(
        "The continent: AF, AN, AS, EU, NA, OC or SA; empty if it is not known."
    ),
    "is_in_european_union": Field("Whether the country is a part of the European Union."),
    "registered_country_code": Field(
        "The country in which the network is registered, ISO 3166-1 alpha-2, or empty."
    ),
    "region_code": Field("The code of `region`, ISO 3166-2, such as GB-ENG, or empty."),
    "subdivisions": Field(
        "The parts of the country in which the address is, the largest first; empty where there is "
        "only `region`."
    ),
    "metro_code": Field("The metro code (DMA) of Google's list, in the United States only."),
    "traits": Field(
        "What kind of network it is: sorted labels such as `anonymous_vpn`, `hosting_provider` or "
        "`tor_exit_node`, of providers and of lists. Other labels may appear."
    ),
    "isp": Field("The provider of access to the Internet, or empty."),
    "domain": Field("The second-level domain of the address, such as example.com, or empty."),
    "connection_type": Field("How the network is connected, such as Cable/DSL, or empty."),
    "user_type": Field("Who uses the network, such as business or residential, or empty."),
    "mobile_country_code": Field("The mobile country code (MCC) of the network, or empty."),
    "mobile_network_code": Field("The mobile network code (MNC) of the network, or empty."),
    "details": Field(
        "What only some products state, by MaxMind's names: plain values; nearly always empty."
    ),
    "field_sources": Field(
        "Which of several sources each field is from, by the name of the field; else empty."
    ),
    "found": Field("Whether anything is known; if not, `reason` says why."),
    "stale": Field("True while the provider fails and an old answer stands in."),
}
SPAN: Final = {
    "valid_from": Field("Since when it was the answer.", DATE_TIME),
    "valid_until": Field("Until when it was the answer; null for the present one.", DATE_TIME),
    "on": Field("The day that was asked for.", {"format": "date"}),
}
OTHER: Final = {
    "credit": Field(
        "Whom the licence of the source asks to name wherever the answer is shown, or empty."
    ),
    "country_name": Field("The name of the country in the language of `lang`; only with `lang`."),
    "continent_name": Field(
        "The name of the continent in the language of `lang`; only with `lang`."
    ),
    "code": Field("What is wrong, for programs."),
    "message": Field("What is wrong and what to do, in one line of English, for people."),
    "error": Field("Why the address has no answer."),
    "results": Field("One for each address that was sent, or found, in their order."),
    "addresses": Field("What to look up, at most 1,000; each should be one IP address."),
    "bad_lines": Field("The first 100 lines in which an address was meant and is not."),
    "bad_line_count": Field("How many lines there are in which an address was meant and is not."),
    "other_line_count": Field("How many lines of a log have no address, and need none."),
    "line": Field("The number of the line, from 1."),
    "text": Field("The beginning of the line."),
    "is_network": Field("Whether the line begins with a network, not with one address."),
    "name": Field("Its name."),
}
# Of components in which a name means something else than in an answer.
BY_COMPONENT: Final = {
    "Subdivision": {"code": Field("Its code, ISO 3166-2, such as GB-ENG, or empty.")},
    "RefusedAddress": {"address": Field("The text as it was sent.")},
}
FIELDS: Final = LOCATION | SPAN | OTHER
