"""Services whose answers ``HttpJsonProvider`` knows how to read, by name."""

from typing import Any, Final
from urllib.parse import urlsplit

IP_API_FIELDS: Final = (
    "status,message,query,continentCode,countryCode,region,regionName,city,zip,lat,lon,timezone,"
    "org,isp,as,mobile,proxy,hosting"
)
# What all services of IPinfo have in common.
IPINFO: Final[dict[str, Any]] = {
    "name": "ipinfo.io",
    "headers": {"Authorization": "Bearer {token}"},
    "address": "ip",
    "not_found": {"bogon": True},
    "attribution": "IP address data powered by IPinfo, https://ipinfo.io",
}
# By our names, those of MaxMind where that means the same.
IPINFO_FLAGS: Final = {
    "anonymous": "is_anonymous",
    "anycast": "is_anycast",
    "hosting_provider": "is_hosting",
    "mobile": "is_mobile",
    "satellite_provider": "is_satellite",
}
IPINFO_NESTED: Final[dict[str, Any]] = {
    **IPINFO,
    "url": "https://api.ipinfo.io/lookup/{address}",
    "fields": {
        "country_code": "geo.country_code",
        "region": "geo.region",
        "city": "geo.city",
        "postal_code": "geo.postal_code",
        "latitude": "geo.latitude",
        "longitude": "geo.longitude",
        "time_zone": "geo.timezone",
        "asn": "as.asn",
        "organization": "as.name",
        "continent_code": "geo.continent_code",
        "region_code": "geo.region_code",
        "domain": "as.domain",
        "user_type": "as.type",
        "traits": IPINFO_FLAGS,
    },
    "batch": {"url": "https://api.ipinfo.io/batch", "size": 1000},
}

PRESETS: Final[dict[str, dict[str, Any]]] = {
    # https://ip-api.com/docs: without an account over plain HTTP only, 45 queries and 15 batches a
    # minute, and not for commercial use.
    "ip-api": {
        "name": "ip-api.com",
        "url": f"http://ip-api.com/json/{{address}}?fields={IP_API_FIELDS}",
        "fields": {
            "country_code": "countryCode",
            "region": "regionName",
            "city": "city",
            "postal_code": "zip",
            "latitude": "lat",
            "longitude": "lon",
            "time_zone": "timezone",
            "asn": "as",
            "organization": "as",
            "continent_code": "continentCode",
            "region_code": "region",
            "isp": "isp",
            "traits": {"public_proxy": "proxy", "hosting_provider": "hosting", "mobile": "mobile"},
        },
        "address": "query",
        # Any other message of a failure, such as one about a key, is a failure.
        "not_found": {"message": ["private range", "reserved range", "invalid query"]},
        "batch": {"url": f"http://ip-api.com/batch?fields={IP_API_FIELDS}", "size": 100},
    },
    # https://ipinfo.io/developers/ipinfo-api: for the tokens of the plans before Core and Plus.
    "ipinfo": {
        **IPINFO,
        "url": "https://ipinfo.io/{address}/json",
        "fields": {
            "country_code": "country",
            "region": "region",
            "city": "city",
            "postal_code": "postal",
            # One text, "51.5,-0.1".
            "latitude": "loc.0",
            "longitude": "loc.1",
            "time_zone": "timezone",
            "asn": "org",
            "organization": "org",
            # Of the dearer plans.
            "domain": "asn.domain",
            "user_type": "asn.type",
            "mobile_country_code": "carrier.mcc",
            "mobile_network_code": "carrier.mnc",
            "traits": {
                "anycast": "anycast",
                "anonymous_vpn": "privacy.vpn",
                "public_proxy": "privacy.proxy",
                "tor_exit_node": "privacy.tor",
                "relay": "privacy.relay",
                "hosting_provider": "privacy.hosting",
            },
            "details": {"provider_name": "privacy.service", "carrier": "carrier.name"},
        },
        "batch": {"url": "https://ipinfo.io/batch", "size": 1000},
    },
    # https://ipinfo.io/developers/lite-api: countries and operators, in a flat answer.
    "ipinfo-lite": {
        **IPINFO,
        "url": "https://api.ipinfo.io/lite/{address}",
        "fields": {
            "country_code": "country_code",
            "continent_code": "continent_code",
            "asn": "asn",
            "organization": "as_name",
            "domain": "as_domain",
        },
    },
    # https://ipinfo.io/developers/core-api, and plus-api: the same URL, with more in the answer.
    "ipinfo-core": IPINFO_NESTED,
    "ipinfo-plus": {
        **IPINFO_NESTED,
        "fields": {
            **IPINFO_NESTED["fields"],
            "accuracy_radius_km": "geo.radius",
            "metro_code": "geo.dma_code",
            "mobile_country_code": "mobile.mcc",
            "mobile_network_code": "mobile.mnc",
            "traits": {
                **IPINFO_FLAGS,
                "anonymous_vpn": "anonymous.is_vpn",
                "public_proxy": "anonymous.is_proxy",
                "tor_exit_node": "anonymous.is_tor",
                "relay": "anonymous.is_relay",
            },
            "details": {
                "provider_name": "anonymous.name",
                "carrier": "mobile.name",
                "geo_changed": "geo.last_changed",
                "as_changed": "as.last_changed",
            },
        },
    },
}


def fitting_presets(preset: str, url: str) -> tuple[str, ...]:
    """Return the presets that ``url`` is for, if ``preset`` is not among them, else an empty tuple.

    It is told by the part of the path before the address, which is "/lite/" of IPinfo's Lite only.
    """
    marks = {name: _mark(given["url"]) for name, given in PRESETS.items()}
    fitting = {name: mark for name, mark in marks.items() if _mark(url).endswith(mark)}
    longest = max(map(len, fitting.values()), default=0)
    names = tuple(name for name, mark in fitting.items() if len(mark) == longest)
    # Anything may be below a path of one's own.
    is_clear = longest > 1 or _host(url) == _host(PRESETS[preset]["url"])
    return names if is_clear and preset not in names else ()


def _mark(url: str) -> str:
    return urlsplit(url).path.partition("{address}")[0]


def _host(url: str) -> str:
    return ".".join((urlsplit(url).hostname or "").split(".")[-2:])
