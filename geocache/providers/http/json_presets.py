"""Services whose answers ``HttpJsonProvider`` knows how to read, by name."""

from typing import Any, Final

IP_API_FIELDS: Final = (
    "status,message,query,countryCode,regionName,city,zip,lat,lon,timezone,org,isp,as"
)

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
        },
        "address": "query",
        "not_found": {"status": "fail"},
        "batch": {"url": f"http://ip-api.com/batch?fields={IP_API_FIELDS}", "size": 100},
    },
    # https://ipinfo.io/developers
    "ipinfo": {
        "name": "ipinfo.io",
        "url": "https://ipinfo.io/{address}/json",
        "headers": {"Authorization": "Bearer {token}"},
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
        },
        "address": "ip",
        "not_found": {"bogon": True},
        "batch": {"url": "https://ipinfo.io/batch", "size": 1000},
        "attribution": "IP address data powered by IPinfo, https://ipinfo.io",
    },
}
