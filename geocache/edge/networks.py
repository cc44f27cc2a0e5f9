"""Which headers a network writes, and which field of an answer each of them fills.

Sources, read in 2026:

- Cloudflare: "Available Managed Transforms", Add visitor location headers,
  https://developers.cloudflare.com/rules/transform/managed-transforms/reference/; CF-IPCountry:
  https://developers.cloudflare.com/fundamentals/reference/http-headers/. Cloudflare hands on what
  a visitor has sent, unless it writes the header itself. Non-ASCII text is UTF-8.
- CloudFront: "Add CloudFront request headers",
  https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html.
  Non-ASCII text is percent-encoded.
- Vercel: "Request headers", https://vercel.com/docs/headers/request-headers. The city is
  percent-encoded (RFC 3986).
- Fastly: ``geo_headers`` of
  https://www.fastly.com/documentation/reference/api/vcl-services/request-settings/. Other headers
  have the names that a site's own VCL gives them.
- App Engine: "Request headers", https://cloud.google.com/appengine/docs/flexible/reference/request-headers.
  They are removed when a client sends them. Names are in lower case, ZZ is an unknown country.
- Fly: "Request headers", https://fly.io/docs/networking/request-headers/. None is of the visitor's
  place: Fly-Region is where the connection was accepted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from geocache.client_ip import HEADER_NAME
from geocache.edge.values import PLACE, READERS

# Ends the name of a network of which only the country is read.
COUNTRY_ONLY: Final = "-country"
# Of the headers that a project names itself.
OWN_LABEL: Final = "Edge headers"


@dataclass(frozen=True, slots=True)
class Network:
    """How the ``source`` of an answer names a network, and its headers by field."""

    label: str
    headers: Mapping[str, str]


WHOLE: Final = {
    "cloudflare": Network(
        "Cloudflare headers",
        {
            "country_code": "CF-IPCountry",
            "continent_code": "CF-IPContinent",
            "region": "CF-Region",
            "region_code": "CF-Region-Code",
            "city": "CF-IPCity",
            "postal_code": "CF-Postal-Code",
            "latitude": "CF-IPLatitude",
            "longitude": "CF-IPLongitude",
            "time_zone": "CF-Timezone",
            "metro_code": "CF-Metro-Code",
        },
    ),
    "cloudfront": Network(
        "CloudFront headers",
        {
            "country_code": "CloudFront-Viewer-Country",
            "region": "CloudFront-Viewer-Country-Region-Name",
            "region_code": "CloudFront-Viewer-Country-Region",
            "city": "CloudFront-Viewer-City",
            "postal_code": "CloudFront-Viewer-Postal-Code",
            "latitude": "CloudFront-Viewer-Latitude",
            "longitude": "CloudFront-Viewer-Longitude",
            "time_zone": "CloudFront-Viewer-Time-Zone",
            "metro_code": "CloudFront-Viewer-Metro-Code",
            "asn": "CloudFront-Viewer-ASN",
        },
    ),
    "vercel": Network(
        "Vercel headers",
        {
            "country_code": "X-Vercel-IP-Country",
            "continent_code": "X-Vercel-IP-Continent",
            "region_code": "X-Vercel-IP-Country-Region",
            "city": "X-Vercel-IP-City",
            "postal_code": "X-Vercel-IP-Postal-Code",
            "latitude": "X-Vercel-IP-Latitude",
            "longitude": "X-Vercel-IP-Longitude",
            "time_zone": "X-Vercel-IP-Timezone",
            "asn": "X-Vercel-IP-AS-Number",
        },
    ),
    "fastly": Network(
        "Fastly headers",
        {
            "country_code": "Fastly-Geo-Country",
            "region_code": "Fastly-Geo-Region",
            "city": "Fastly-Geo-City",
        },
    ),
    "appengine": Network(
        "App Engine headers",
        {
            "country_code": "X-AppEngine-Country",
            "region_code": "X-AppEngine-Region",
            "city": "X-AppEngine-City",
            "point": "X-AppEngine-CityLatLong",
        },
    ),
}
NETWORKS: Final[Mapping[str, Network]] = MappingProxyType(
    WHOLE
    | {
        f"{name}{COUNTRY_ONLY}": replace(one, headers={"country_code": one.headers["country_code"]})
        for name, one in WHOLE.items()
    }
)
# It writes headers, but none of the visitor's place.
FLY: Final = ("fly", f"fly{COUNTRY_ONLY}")


def network_of(setting: str | Mapping[str, Any]) -> Network:
    """Return the network that ``EDGE_HEADERS`` names, or one of the headers that it lists.

    Raises ``ImproperlyConfigured``.
    """
    if isinstance(setting, str):
        return _named(setting)
    try:
        return _listed(tuple(setting.items()))
    except TypeError:
        # Not hashable: the same, to say which.
        return _listed.__wrapped__(tuple(setting.items()))


def _named(name: str) -> Network:
    if name in FLY:
        raise _wrong(
            "Fly sends nothing about a visitor's place; for the address set CLIENT_IP_HEADER to "
            '"Fly-Client-IP"'
        )
    if name not in NETWORKS:
        known = ", ".join(NETWORKS)
        raise _wrong(f"{name[:40]!r} is not known; choose of {known}, or list headers by field")
    return NETWORKS[name]


@cache
def _listed(entries: tuple[tuple[Any, Any], ...]) -> Network:
    headers = dict(entries)
    for field, header in headers.items():
        if field not in READERS:
            raise _wrong(f"there is no {field!r}; choose of {', '.join(READERS)}")
        if not isinstance(header, str) or not HEADER_NAME.fullmatch(header):
            raise _wrong(f"{str(header)[:40]!r} is not the name of a header, as X-Geo-Country")
    # A place whose country is not known cannot be compared with that of a database.
    if "country_code" not in headers and not PLACE.isdisjoint(headers):
        raise _wrong("without a header for country_code no place is read")
    if ("latitude" in headers) != ("longitude" in headers):
        raise _wrong("name headers for both latitude and longitude, or one for point")
    return Network(OWN_LABEL, MappingProxyType(headers))


def _wrong(said: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f'GEOCACHE["EDGE_HEADERS"]: {said}.')
