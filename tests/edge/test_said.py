"""Who is believed, and what the answer is with and without a database."""

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.test import AsyncRequestFactory
from django.utils import timezone
from structlog.testing import capture_logs

from geocache import edge
from geocache.edge.said import edge_untrusted
from geocache.edge.said import said_of as said_of_request
from geocache.licences.limits import outdated
from geocache.licences.texts import parts_of
from geocache.location import NOT_FOUND, UNAVAILABLE
from geocache.lookup import lookup
from geocache.middleware import GeoMiddleware, TimeZoneMiddleware
from geocache.providers.base import Source, is_outdated
from tests.factories import LONDON, NOON, a_location

LABEL = "Cloudflare headers"
PEER = "10.0.0.1"
OTHER = "81.2.69.160"
SENT = {
    "CF-IPCountry": "GB",
    "CF-IPCity": "London",
    "CF-Region": "England",
    "CF-Region-Code": "ENG",
    "CF-IPLatitude": "51.5",
    "CF-IPLongitude": "-0.1",
    "CF-Postal-Code": "SW1",
    "CF-Timezone": "Europe/London",
}


@pytest.fixture(autouse=True)
def places(override_locations):
    return override_locations({LONDON: {"country_code": "GB"}})


@pytest.fixture(autouse=True)
def configured(settings):
    configure(settings)
    edge_untrusted.reset()


def configure(settings, **given):
    settings.GEOCACHE = {
        **settings.GEOCACHE,
        "TRUSTED_PROXIES": ["10.0.0.0/8"],
        "EDGE_HEADERS": "cloudflare",
        **given,
    }


def visit(rf, peer=PEER, forwarded=LONDON, headers=None):
    headers = SENT if headers is None else headers
    beside = {"X-Forwarded-For": forwarded} if forwarded else {}
    return rf.get("/", REMOTE_ADDR=peer, headers={**headers, **beside})


def answer(rf, **given):
    request = visit(rf, **given)
    GeoMiddleware(lambda _: HttpResponse())(request)
    same = async_to_sync(request.ageo)()
    assert request.geo == same
    return same


# --- merged ---------------------------------------------------------------------------------------


def test_merge__the_database_comes_first_and_headers_fill_gaps(rf):
    found = answer(rf)
    assert found
    assert found.address == LONDON
    assert (found.country_code, found.city, found.region_code) == ("GB", "London", "GB-ENG")
    assert (found.latitude, found.longitude) == (51.5, -0.1)
    assert (found.postal_code, found.time_zone) == ("SW1", "Europe/London")
    assert found.source.endswith(f", {LABEL}")
    assert found.field_sources["city"] == LABEL
    assert LABEL not in found.field_sources["country_code"]


def test_merge__nothing_of_it_is_remembered(rf, places):
    assert answer(rf).city == "London"
    kept = lookup(LONDON)
    assert kept.city == ""
    assert LABEL not in kept.source
    assert places.looked_up == [LONDON]


def test_merge__what_the_database_says_is_kept(rf, override_locations):
    known = {"country_code": "GB", "city": "Slough", "region": "England", "latitude": 1.0}
    override_locations({LONDON: known | {"longitude": 2.0}})
    found = answer(rf)
    # Of another city no postal code and no point are added.
    assert (found.city, found.postal_code, found.latitude) == ("Slough", "", 1.0)
    assert found.time_zone == "Europe/London"


def test_merge__another_region_adds_nothing_below_the_country(rf, override_locations):
    override_locations({LONDON: {"country_code": "GB", "region": "Scotland"}})
    found = answer(rf)
    assert (found.region, found.region_code, found.city, found.time_zone) == (
        "Scotland",
        "",
        "",
        "",
    )
    assert LABEL not in found.source


@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        # Which region the city is in is not said: it may be another one.
        (("CF-Region", "CF-Region-Code"), ("England", "", "", "Europe/London")),
        (("CF-IPCity",), ("England", "", "SW1", "Europe/London")),
        ((), ("England", "London", "SW1", "Europe/London")),
    ],
)
def test_merge__what_cannot_be_compared_adds_nothing_narrower(
    rf, override_locations, left_out, expected
):
    override_locations({LONDON: {"country_code": "GB", "region": "England"}})
    headers = {name: text for name, text in SENT.items() if name not in left_out}
    found = answer(rf, headers=headers)
    assert (found.region, found.city, found.postal_code, found.time_zone) == expected


def test_merge__a_postal_code_is_not_added_to_an_unconfirmed_city(rf, override_locations):
    override_locations({LONDON: {"country_code": "GB", "region": "England", "city": "Slough"}})
    headers = {name: text for name, text in SENT.items() if name != "CF-IPCity"}
    found = answer(rf, headers=headers)
    assert (found.city, found.postal_code, found.latitude) == ("Slough", "", None)


def test_merge__another_country_adds_nothing_of_the_place(rf, override_locations):
    override_locations({LONDON: {"country_code": "FR"}})
    found = answer(rf)
    assert found.country_code == "FR"
    assert (found.city, found.region, found.time_zone, found.latitude) == ("", "", "", None)
    assert LABEL not in found.source
    assert LABEL not in str(found.field_sources)


def test_merge__another_continent_is_another_country(rf, override_locations):
    override_locations({LONDON: {"continent_code": "AS", "organization": "Test"}})
    found = answer(rf)
    assert (found.country_code, found.city) == ("", "")


def test_merge__tor_is_told_beside_the_country_of_the_database(rf):
    found = answer(rf, headers={"CF-IPCountry": "T1"})
    assert (found.country_code, found.traits) == ("GB", ("tor_exit_node",))
    assert found.is_anonymous
    assert found.field_sources["traits"] == LABEL


@pytest.mark.parametrize("known", [{}, {"asn": 64500}, {"organization": "Test"}])
def test_merge__an_operator_is_of_one_source(rf, settings, override_locations, known):
    configure(settings, EDGE_HEADERS={"asn": "X-ASN", "organization": "X-Org"})
    override_locations({LONDON: {"country_code": "GB"} | known})
    found = answer(rf, headers={"X-ASN": "5089", "X-Org": "Other"})
    expected = {"asn": None, "organization": ""} | known
    if not known:
        expected = {"asn": 5089, "organization": "Other"}
    assert {"asn": found.asn, "organization": found.organization} == expected


def test_merge__headers_answer_alone_where_the_database_knows_nothing(rf):
    found = answer(rf, forwarded="9.9.9.9")
    assert found
    assert (found.address, found.city, found.source) == ("9.9.9.9", "London", LABEL)
    assert (found.continent_code, found.is_in_european_union) == ("EU", False)
    assert found.reason == ""


def test_merge__without_headers_it_is_the_answer_of_the_database(rf):
    assert answer(rf, headers={}) is lookup(LONDON)


def test_merge__several_databases_keep_their_shares(rf):
    known = a_location(
        region="England", source="A 2026-01-01, B", given_by="1.2", postal_code="", city=""
    )
    said = said_of_request(visit(rf), LONDON)
    found = said.merged(known)
    assert found.source == f"A 2026-01-01, B, {LABEL}"
    assert found.field_sources["country_code"] == "A 2026-01-01"
    assert found.field_sources["region"] == "B"
    assert found.field_sources["city"] == LABEL


# --- alone ----------------------------------------------------------------------------------------


def test_only__no_provider_is_asked(rf, settings, places):
    configure(settings, EDGE_MODE="only")
    found = answer(rf)
    assert (found.address, found.city, found.source) == (LONDON, "London", LABEL)
    assert (found.continent_code, found.reason) == ("EU", "")
    assert places.looked_up == []


def test_only__nothing_is_remembered(rf, settings, places):
    configure(settings, EDGE_MODE="only")
    assert answer(rf)
    assert lookup(LONDON).city == ""
    assert places.looked_up == [LONDON]


def test_only__without_headers_nothing_is_known(rf, settings, places):
    configure(settings, EDGE_MODE="only")
    found = answer(rf, headers={"CF-IPCountry": "XX"})
    assert not found
    assert (found.reason, found.address) == (NOT_FOUND, LONDON)
    assert places.looked_up == []


def test_only__a_stranger_is_not_believed(rf, settings, places):
    configure(settings, EDGE_MODE="only")
    found = answer(rf, peer=LONDON, forwarded="")
    assert not found
    assert (found.reason, found.city) == (UNAVAILABLE, "")
    assert places.looked_up == []


def test_only__needs_no_address(rf, settings):
    configure(settings, EDGE_MODE="only", TRUSTED_PROXIES=["unix"])
    found = answer(rf, peer="", forwarded="")
    assert (found.address, found.country_code) == ("", "GB")


def test_only__the_zone_of_the_visitor_is_active(rf, settings):
    configure(settings, EDGE_MODE="only")

    def view(_):
        return HttpResponse(timezone.get_current_timezone_name())

    async def aview(request):
        return view(request)

    assert GeoMiddleware(TimeZoneMiddleware(view))(visit(rf)).text == "Europe/London"
    request = AsyncRequestFactory().get("/", headers={**SENT, "X-Forwarded-For": LONDON})
    request.META["REMOTE_ADDR"] = PEER
    middleware = GeoMiddleware(TimeZoneMiddleware(aview))
    assert async_to_sync(middleware)(request).text == "Europe/London"


# --- who is believed ------------------------------------------------------------------------------


@pytest.mark.parametrize("peer", [LONDON, "192.168.0.2", "127.0.0.1", "", "nonsense"])
def test_said_of__a_peer_that_is_not_trusted_says_nothing(rf, peer):
    said = edge.said_of(visit(rf, peer=peer), LONDON)
    assert said.fields == {}
    assert not said.is_believed


@pytest.mark.parametrize(
    "proxies", [[], ["0.0.0.0/0", "10.0.0.0/8"], ["::/0"], ["0.0.0.0/1", "128.0.0.0/1"]]
)
def test_said_of__nobody_is_believed_where_everybody_is_trusted(rf, settings, proxies):
    configure(settings, TRUSTED_PROXIES=proxies)
    assert edge.said_of(visit(rf), LONDON).fields == {}
    assert edge.said_of(visit(rf, peer="2001:db8::1"), LONDON).fields == {}


@pytest.mark.parametrize(
    "address",
    [
        # A proxy that did not say whose request it is, and machines of the own network.
        "10.0.0.7",
        "192.168.0.7",
        "127.0.0.1",
        "fe80::1",
    ],
)
def test_said_of__what_is_said_belongs_to_a_visitor(rf, address):
    assert edge.said_of(visit(rf), address).fields == {}


def test_said_of__a_place_is_not_one_of_the_proxy_itself(rf, settings):
    configure(settings, TRUSTED_PROXIES=["9.9.9.9"], EDGE_MODE="only")
    assert not answer(rf, peer="9.9.9.9", forwarded="")
    assert answer(rf, peer="9.9.9.9", forwarded=LONDON)


@pytest.mark.parametrize(
    ("forwarded", "is_believed"),
    [
        # Through the edge, then through nginx.
        (f"{LONDON}, 9.9.9.9", True),
        (f"1.1.1.1, {LONDON}, 9.9.9.9", True),
        (f"{LONDON}, 9.9.9.9, 10.0.0.2", True),
        # Around the edge: the visitor wrote all but its own address.
        (LONDON, False),
        (f"9.9.9.9, {LONDON}", False),
        (f"1.1.1.1, 9.9.9.9, {LONDON}, 10.0.0.2", False),
        ("9.9.9.9, nonsense", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("mode", ["merge", "only"])
def test_said_of__who_gets_around_the_edge_is_not_believed(
    rf, settings, forwarded, is_believed, mode
):
    proxies = ["10.0.0.0/8", "9.9.9.9"]
    configure(settings, TRUSTED_PROXIES=proxies, EDGE_PROXIES=["9.9.9.9"], EDGE_MODE=mode)
    found = answer(rf, forwarded=forwarded)
    assert (found.city == "London") is is_believed
    assert found.address == (LONDON if LONDON in forwarded else PEER)


def test_said_of__the_edge_is_the_connection(rf, settings):
    configure(settings, EDGE_PROXIES=["10.0.0.0/24"])
    assert answer(rf).city == "London"
    assert answer(rf, peer="10.9.9.9").city == ""


def test_said_of__a_unix_socket(rf, settings):
    configure(settings, TRUSTED_PROXIES=["unix"])
    assert edge.said_of(visit(rf, peer=""), LONDON).fields["city"] == "London"


def test_said_of__off_is_nothing(rf, settings):
    configure(settings, EDGE_HEADERS="")
    assert edge.said_of(visit(rf), LONDON) is None
    configure(settings, EDGE_HEADERS={})
    assert edge.said_of(visit(rf), LONDON) is None


@pytest.mark.parametrize("peer", ["192.168.0.2", "", "127.0.0.1"])
def test_said_of__headers_of_an_untrusted_proxy_are_logged_once(rf, peer):
    with capture_logs() as logs:
        for _ in range(3):
            edge.said_of(visit(rf, peer=peer), LONDON)
    (line,) = logs
    assert line["event"] == "geo_edge_untrusted"
    assert line["address"] == (peer or "unix")


def test_said_of__strangers_do_not_fill_the_log(rf):
    with capture_logs() as logs:
        edge.said_of(visit(rf, peer="9.9.9.9"), LONDON)
        edge.said_of(visit(rf, peer="127.0.0.1", headers={"CF-IPCity": ""}), LONDON)
    assert logs == []


# --- the name of the source -----------------------------------------------------------------------


def test_source__has_no_licence_and_is_never_too_old():
    known = Source(name="GeoLite2-City", built_at=NOON)
    assert outdated(f"{known}, {LABEL}", [str(known)], NOON) is None
    assert [part.name for part in parts_of(LABEL)] == [LABEL]
    assert not is_outdated(LABEL, [known])
    assert not is_outdated(f"{known}, {LABEL}", [known])
    assert is_outdated(f"Other 2020-01-01, {LABEL}", [known])
