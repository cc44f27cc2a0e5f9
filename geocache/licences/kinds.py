"""The licences of the databases that are known by their names.

Sources, read in 2026:

- GeoLite: "GeoLite End User License Agreement", https://www.maxmind.com/en/geolite/eula. Section 6:
  old versions of databases and data are destroyed within thirty days following the release of an
  updated one. The credit is the one that MaxMind names.
- GeoLite2 until December 2019: CC BY-SA 4.0. MaxMind's blog of 2019-12-18, "Significant Changes to
  Accessing and Using GeoLite2 Databases": the new agreement holds from 2019-12-30 on.
- GeoIP2: "MaxMind End User License Agreement", https://www.maxmind.com/en/end-user-license-agreement.
  No credit; the same thirty days, but customers may have a contract of their own, which counts.
- DB-IP Lite: CC BY 4.0, with a link on pages that show results:
  https://db-ip.com/db/download/ip-to-city-lite.
- IPinfo Lite: CC BY-SA 4.0, credit with a link: https://ipinfo.io/lite.
- IP2Location LITE: CC BY-SA 4.0, credit with a link: https://lite.ip2location.com.
- ip-location-db packs data of others; the table of its README names the licence of each file:
  https://github.com/sapics/ip-location-db.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

BY: Final = "https://creativecommons.org/licenses/by/4.0/"
BY_SA: Final = "https://creativecommons.org/licenses/by-sa/4.0/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """What a licence asks for."""

    name: str = ""
    url: str = ""
    # To be shown wherever the data is; a text with a link in it.
    credit: str = ""
    # How many days after its build a file, and what it said, may still be kept; None: for any time.
    max_age_days: int | None = None
    # False where a contract may say otherwise: the age is then said, and nothing is removed.
    is_limit_certain: bool = True

    @property
    def removal_days(self) -> int | None:
        """Return after how many days data of a build has to be gone, None where it may stay."""
        return self.max_age_days if self.is_limit_certain else None


UNKNOWN: Final = Licence()
GEOLITE: Final = Licence(
    name="GeoLite EULA",
    url="https://www.maxmind.com/en/geolite/eula",
    credit="This product includes GeoLite2 data created by MaxMind, available from "
    "https://www.maxmind.com",
    max_age_days=30,
)
GEOLITE_OF_2019: Final = Licence(
    name="CC BY-SA 4.0",
    url=BY_SA,
    credit="This product includes GeoLite2 data created by MaxMind (CC BY-SA 4.0), available from "
    "https://www.maxmind.com",
)
GEOIP: Final = Licence(
    name="MaxMind EULA",
    url="https://www.maxmind.com/en/end-user-license-agreement",
    max_age_days=30,
    is_limit_certain=False,
)
DBIP_LITE: Final = Licence(
    name="CC BY 4.0", url=BY, credit="IP Geolocation by DB-IP (CC BY 4.0), https://db-ip.com"
)
IPINFO: Final = Licence(
    name="CC BY-SA 4.0",
    url=BY_SA,
    credit="IP address data powered by IPinfo, https://ipinfo.io",
)
IP2LOCATION_LITE: Final = Licence(
    name="CC BY-SA 4.0",
    url=BY_SA,
    credit="This site or product includes IP2Location LITE data available from "
    "https://lite.ip2location.com",
)
ROUTEVIEWS_AND_DBIP: Final = Licence(
    name="CC BY 4.0",
    url=BY,
    credit="Network operators by RouteViews, https://www.routeviews.org, and DB-IP (CC BY 4.0), "
    "https://db-ip.com",
)
PUBLIC_DOMAIN: Final = Licence(name="CC0 or PDDL")

# Builds from this day on are under the agreement.
GEOLITE_EULA_DAY: Final = date(2019, 12, 30)
# By what a source is called, in its file or by a person; the first that fits.
KINDS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), licence)
    for pattern, licence in (
        (r"(maxmind )?geolite", GEOLITE),
        (r"(maxmind )?geoip", GEOIP),
        (r"routeviews and db-ip", ROUTEVIEWS_AND_DBIP),
        (r"db-?ip\b.*\blite\b", DBIP_LITE),
        (r"ipinfo", IPINFO),
        (r"ip2location.*\blite\b", IP2LOCATION_LITE),
        (r"ip-location-db|iptoasn", PUBLIC_DOMAIN),
    )
)

# The files of ip-location-db all have such types, whosever data they hold: only their names tell.
FLAT_TYPE: Final = re.compile(r"(city|country|asn)( ?ipv(4|6|all))?", re.IGNORECASE)
FLAT_FILES: Final = tuple(
    (re.compile(rf"{pattern}(-ipv[46])?\.mmdb", re.IGNORECASE), name)
    for pattern, name in (
        (r"dbip-city", "DB-IP City Lite"),
        (r"dbip-(geo-whois-asn-)?country", "DB-IP Country Lite"),
        (r"dbip-asn", "DB-IP ASN Lite"),
        (r"geolite2-city", "GeoLite2 City"),
        (r"geolite2-(geo-whois-asn-)?country", "GeoLite2 Country"),
        (r"geolite2-asn", "GeoLite2 ASN"),
        (r"iptoasn-(country|asn)", "IPtoASN"),
        (r"(geo-whois-|geo-)?asn-country", "ip-location-db Country"),
        (r"asn", "RouteViews and DB-IP ASN"),
    )
)


def licence_by_name(name: str, built_on: date | None) -> Licence:
    """Return the licence of a source by its name; ``UNKNOWN`` where that tells nothing."""
    for pattern, licence in KINDS:
        if pattern.match(name):
            is_of_2019 = licence is GEOLITE and built_on and built_on < GEOLITE_EULA_DAY
            return GEOLITE_OF_2019 if is_of_2019 else licence
    return UNKNOWN


def is_flat(type_name: str) -> bool:
    """Tell whether a type of a file says nothing about whose data it holds."""
    return FLAT_TYPE.fullmatch(type_name) is not None


def name_by_file(file_name: str, type_name: str) -> str:
    """Return what a flat file is, by the name that it is published under, or the empty text."""
    if not is_flat(type_name):
        return ""
    return next((name for pattern, name in FLAT_FILES if pattern.fullmatch(file_name)), "")
