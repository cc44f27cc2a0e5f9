"""What each network says, header by header."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from geocache import edge
from geocache.client_ip import HEADER_NAME
from geocache.edge.networks import NETWORKS, network_of
from geocache.edge.values import READERS
from tests.factories import LONDON

# By the name of a network: what it sends, spelled as it does, and what that says.
SENT: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "cloudflare": (
        {
            "CF-IPCountry": "GB",
            "CF-IPCity": "Newcastle upon Tyne",
            "CF-IPContinent": "EU",
            "CF-IPLatitude": "54.97825",
            "CF-IPLongitude": "-1.61778",
            "CF-Region": "England",
            "CF-Region-Code": "ENG",
            "CF-Metro-Code": "",
            "CF-Postal-Code": "NE1",
            "CF-Timezone": "Europe/London",
        },
        {
            "country_code": "GB",
            "city": "Newcastle upon Tyne",
            "latitude": 54.97825,
            "longitude": -1.61778,
            "region": "England",
            "region_code": "GB-ENG",
            "postal_code": "NE1",
            "time_zone": "Europe/London",
        },
    ),
    "cloudfront": (
        {
            "CloudFront-Viewer-Country": "US",
            "CloudFront-Viewer-Country-Name": "United States",
            "CloudFront-Viewer-Country-Region": "CA",
            "CloudFront-Viewer-Country-Region-Name": "California",
            "CloudFront-Viewer-City": "Corte Madera",
            "CloudFront-Viewer-Latitude": "37.92490",
            "CloudFront-Viewer-Longitude": "-122.51000",
            "CloudFront-Viewer-Postal-Code": "94925",
            "CloudFront-Viewer-Time-Zone": "America/Los_Angeles",
            "CloudFront-Viewer-Metro-Code": "807",
            "CloudFront-Viewer-ASN": "7922",
        },
        {
            "country_code": "US",
            "region": "California",
            "region_code": "US-CA",
            "city": "Corte Madera",
            "latitude": 37.9249,
            "longitude": -122.51,
            "postal_code": "94925",
            "time_zone": "America/Los_Angeles",
            "metro_code": 807,
            "asn": 7922,
        },
    ),
    "vercel": (
        {
            "X-Vercel-IP-Country": "BR",
            "X-Vercel-IP-Country-Region": "SP",
            "X-Vercel-IP-City": "S%C3%A3o%20Paulo",
            "X-Vercel-IP-Continent": "SA",
            "X-Vercel-IP-Latitude": "-23.5475",
            "X-Vercel-IP-Longitude": "-46.6361",
            "X-Vercel-IP-Timezone": "America/Sao_Paulo",
            "X-Vercel-IP-Postal-Code": "01000",
            "X-Vercel-IP-AS-Number": "28573",
        },
        {
            "country_code": "BR",
            "region_code": "BR-SP",
            "city": "São Paulo",
            "latitude": -23.5475,
            "longitude": -46.6361,
            "time_zone": "America/Sao_Paulo",
            "postal_code": "01000",
            "asn": 28573,
        },
    ),
    "fastly": (
        {
            "Fastly-Geo-Country": "DE",
            "Fastly-Geo-Region": "BY",
            "Fastly-Geo-City": "munich",
        },
        {"country_code": "DE", "region_code": "DE-BY", "city": "Munich"},
    ),
    "appengine": (
        {
            "X-AppEngine-Country": "GB",
            "X-AppEngine-Region": "eng",
            "X-AppEngine-City": "newcastle upon tyne",
            "X-AppEngine-CityLatLong": "54.978252,-1.617780",
        },
        {
            "country_code": "GB",
            "region_code": "GB-ENG",
            "city": "Newcastle Upon Tyne",
            "latitude": 54.978252,
            "longitude": -1.61778,
        },
    ),
}
TABLES = [name for name in NETWORKS if not name.endswith("-country")]


def said(rf, settings, setting, headers):
    settings.GEOCACHE = {
        **settings.GEOCACHE,
        "TRUSTED_PROXIES": ["10.0.0.1"],
        "EDGE_HEADERS": setting,
    }
    request = rf.get("/", REMOTE_ADDR="10.0.0.1", headers=headers)
    found = edge.said_of(request, LONDON)
    assert found is not None
    return found


def test_networks__each_is_tried_here():
    assert set(SENT) == set(TABLES)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks__name_headers_and_fields_that_exist(name):
    for field, header in NETWORKS[name].headers.items():
        assert field in READERS
        assert HEADER_NAME.fullmatch(header)


@pytest.mark.parametrize("name", SENT)
def test_said_of__a_full_set_of_headers(rf, settings, name):
    headers, expected = SENT[name]
    assert said(rf, settings, name, headers).fields == expected


@pytest.mark.parametrize("name", SENT)
def test_said_of__each_header_counts_for_something(rf, settings, name):
    headers, expected = SENT[name]
    for header in NETWORKS[name].headers.values():
        sent = {key: text for key, text in headers.items() if key.lower() != header.lower()}
        fewer = said(rf, settings, name, sent).fields
        # A continent follows from the country, and a metro code is one of the United States.
        if "continent" in header.lower() or not headers[header]:
            assert fewer == expected
        else:
            assert fewer != expected


@pytest.mark.parametrize("name", SENT)
def test_said_of__the_country_alone(rf, settings, name):
    headers, expected = SENT[name]
    found = said(rf, settings, f"{name}-country", headers)
    assert found.fields == {"country_code": expected["country_code"]}


@pytest.mark.parametrize("name", SENT)
@pytest.mark.parametrize("other", SENT)
def test_said_of__no_header_of_another_network_counts(rf, settings, name, other):
    if name != other:
        assert said(rf, settings, name, SENT[other][0]).fields == {}


def test_said_of__names_are_read_without_case(rf, settings):
    headers = {name.lower(): text for name, text in SENT["cloudflare"][0].items()}
    assert said(rf, settings, "cloudflare", headers).fields == SENT["cloudflare"][1]


def test_said_of__headers_that_a_project_names(rf, settings):
    setting = {"country_code": "X-Geo-Country", "city": "x-geo-city", "point": "X-Geo-Point"}
    headers = {"X-Geo-Country": "FR", "X-Geo-City": "Évry", "X-Geo-Point": "48.6, 2.4"}
    found = said(rf, settings, setting, headers)
    assert found.label == "Edge headers"
    assert found.fields == {
        "country_code": "FR",
        "city": "Évry",
        "latitude": 48.6,
        "longitude": 2.4,
    }


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("akamai", "choose of"),
        ("Cloudflare", "choose of"),
        ("fly", "Fly-Client-IP"),
        ("fly-country", "Fly-Client-IP"),
        ({"country": "X-Country"}, "there is no 'country'"),
        ({"traits": "X-Traits"}, "there is no 'traits'"),
        ({1: "X-Country"}, "there is no 1"),
        ({"country_code": "X Country"}, "not the name of a header"),
        ({"country_code": "HTTP_X_COUNTRY"}, "not the name of a header"),
        ({"country_code": ""}, "not the name of a header"),
        ({"country_code": None}, "not the name of a header"),
        ({"country_code": ["X-Country"]}, "not the name of a header"),
        ({"city": "X-City"}, "country_code"),
        ({"country_code": "X-C", "latitude": "X-Latitude"}, "longitude"),
    ],
)
def test_network_of__what_cannot_be_read_is_refused(setting, problem):
    with pytest.raises(ImproperlyConfigured, match="EDGE_HEADERS") as error:
        network_of(setting)
    assert problem in str(error.value)


def test_network_of__what_has_no_place_needs_no_country():
    assert network_of({"asn": "X-ASN", "organization": "X-Operator"}).label == "Edge headers"
