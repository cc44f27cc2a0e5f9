import traceback

import pytest
from django.core.exceptions import ImproperlyConfigured
from structlog.testing import capture_logs

from geocache import checks
from geocache.exceptions import ProviderError
from geocache.location import NOT_FOUND, UNAVAILABLE, dump_locations, load_locations
from geocache.lookup import lookup, lookup_many
from geocache.providers import factory
from geocache.providers.http.json_presets import PRESETS
from geocache.providers.http.json_service import HttpJsonProvider
from geocache.providers.merging import said_fields
from tests.factories import LONDON, MOSCOW_V6
from tests.support.http_server import Reply, serving

TOKEN = "hunter2/token"
IP_API_ANSWER = {
    "status": "success",
    "query": LONDON,
    "countryCode": "GB",
    "regionName": "England",
    "city": "London",
    "zip": "EC1A",
    "lat": 51.5,
    "lon": -0.1,
    "timezone": "Europe/London",
    "isp": "Test ISP",
    "org": "Customer",
    "as": "AS64500 Test Networks",
}
IPINFO_ANSWER = {
    "ip": LONDON,
    "hostname": "a.example",
    "city": "London",
    "region": "England",
    "country": "GB",
    "loc": "51.5,-0.1",
    "org": "AS64500 Test Networks",
    "postal": "EC1A",
    "timezone": "Europe/London",
}
PLACE = {
    "address": LONDON,
    "resolved_at": None,
    "network": "",
    "country_code": "GB",
    "region": "England",
    "city": "London",
    "postal_code": "EC1A",
    "latitude": 51.5,
    "longitude": -0.1,
    "accuracy_radius_km": None,
    "time_zone": "Europe/London",
    "asn": 64500,
    "organization": "Test Networks",
    "reason": "",
    "found": True,
    "stale": False,
}


@pytest.fixture
def service():
    with serving() as stand_in:
        yield stand_in


def moved(url, stand_in):
    """The URL of a real service, at the stand-in."""
    return f"http://{stand_in.host}/{url.split('/', 3)[3]}"


def a_preset(stand_in, name, **options):
    preset = PRESETS[name]
    here = {"url": moved(preset["url"], stand_in), "timeout_seconds": 2}
    if "batch" in preset:
        url = moved(preset["batch"]["url"], stand_in)
        here["batch"] = {**preset["batch"], "url": url}
    return HttpJsonProvider(name, **here | options)


def a_provider(stand_in, **options):
    """A service that is mapped by hand."""
    given = {
        "name": "Test service",
        "url": f"http://{stand_in.host}/where/{{address}}?key={{token}}",
        "token": TOKEN,
        "headers": {"X-Key": "key={token}"},
        "fields": {"city": "place.names.0", "network": "net"},
        "not_found": {"error.code": 7},
        "not_found_statuses": [404],
        "timeout_seconds": 2,
    }
    return HttpJsonProvider(**given | options)


def refusal(provider, address=LONDON):
    """The failure of a look-up; no form of it has a secret."""
    with capture_logs() as logs, pytest.raises(ProviderError) as caught:
        provider.resolve(address)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(logs)
    assert "hunter2" not in shown
    assert "\n" not in str(caught.value)
    return str(caught.value)


def plain(location):
    """The fields that are in ``PLACE``, and the source."""
    names = {*PLACE, "source"}
    found = {name: value for name, value in location.to_plain().items() if name in names}
    return found | {"resolved_at": None}


# --- presets -----------------------------------------------------------------------------------


def test_ip_api__one(service):
    service.answer(Reply(body=IP_API_ANSWER))
    location = a_preset(service, "ip-api").resolve(LONDON)
    assert plain(location) == PLACE | {"source": "ip-api.com"}
    (asked,) = service.asked
    assert asked.method == "GET"
    assert asked.path.startswith(f"/json/{LONDON}?fields=status,message,query,")


def test_ip_api__says_what_kind_of_network_it_is(service):
    more = {
        "continentCode": "EU",
        "region": "ENG",
        "isp": "Test ISP",
        "mobile": False,
        "proxy": True,
        "hosting": True,
    }
    service.answer(Reply(body={**IP_API_ANSWER, **more}))
    location = a_preset(service, "ip-api").resolve(LONDON)
    assert (location.continent_code, location.region_code) == ("EU", "GB-ENG")
    assert (location.isp, location.traits) == ("Test ISP", ("hosting_provider", "public_proxy"))
    (asked,) = service.asked
    assert asked.path.endswith("isp,as,mobile,proxy,hosting")


def test_ipinfo__says_what_kind_of_network_it_is(service):
    more = {
        "anycast": True,
        "asn": {"domain": "example.net", "type": "education"},
        "privacy": {**dict.fromkeys(("vpn", "proxy", "tor"), True), "service": "A VPN"},
        "carrier": {"name": "Carrier", "mcc": "310", "mnc": "00"},
    }
    service.answer(Reply(body={**IPINFO_ANSWER, **more}))
    location = a_preset(service, "ipinfo", token=TOKEN).resolve(LONDON)
    assert location.traits == ("anonymous_vpn", "anycast", "public_proxy", "tor_exit_node")
    assert location.details == {"provider_name": "A VPN", "carrier": "Carrier"}
    assert (location.domain, location.user_type) == ("example.net", "college")
    assert (location.mobile_country_code, location.mobile_network_code) == ("310", "00")


@pytest.mark.parametrize(
    "value", [None, "no", 2, -1, 1.0, [True], {"a": 1}, "x" * 70_000, "\ud800"]
)
def test_mapping__a_wrong_flag_is_not_a_trait(service, value):
    fields = {"city": "city", "traits": {"anonymous_vpn": "vpn"}, "details": {"score": "vpn"}}
    service.answer(Reply(body={"city": "London", "vpn": value}))
    location = a_provider(service, fields=fields).resolve(LONDON)
    assert (location.city, location.traits) == ("London", ())
    assert load_locations(dump_locations([location])) == [location]


@pytest.mark.parametrize(
    "fields",
    [
        *({"traits": "vpn"}, {"traits": {"VPN!": "vpn"}}, {"details": {"x": 5}}),
        *({"city": {"a": "b"}}, {"traits": ["vpn"]}, {"details": None}),
    ],
    ids=repr,
)
def test_mapping__wrong_paths_of_traits_are_told(service, fields):
    provider = a_provider(service, fields=fields)
    assert provider.check()
    with pytest.raises(ProviderError):
        provider.resolve(LONDON)


def test_ip_api__many_in_batches_of_a_hundred(service):
    addresses = [f"20.0.{n >> 8}.{n & 255}" for n in range(250)]

    def reply(asked):
        service.asked.append(asked)
        return Reply(body=[{**IP_API_ANSWER, "query": one, "zip": one} for one in asked.body])

    service.next_reply = reply
    answers = a_preset(service, "ip-api").resolve_many(addresses)
    assert {one: answers[one].postal_code for one in addresses} == {one: one for one in addresses}
    assert [(asked.method, len(asked.body)) for asked in service.asked] == [
        ("POST", 100),
        ("POST", 100),
        ("POST", 50),
    ]
    assert all(path.startswith("/batch?fields=") for path in service.paths())


def test_ip_api__not_found(service):
    service.answer(Reply(body={"status": "fail", "message": "reserved range", "query": LONDON}))
    assert a_preset(service, "ip-api").resolve(LONDON).reason == NOT_FOUND


def test_ipinfo__one_with_the_token(service):
    service.answer(Reply(body=IPINFO_ANSWER))
    location = a_preset(service, "ipinfo", token=TOKEN).resolve(LONDON)
    assert plain(location) == PLACE | {"source": "ipinfo.io"}
    (asked,) = service.asked
    assert (asked.path, asked.headers["Authorization"]) == (f"/{LONDON}/json", f"Bearer {TOKEN}")


def test_ipinfo__many_by_address(service):
    both = {LONDON: IPINFO_ANSWER, MOSCOW_V6: {"ip": MOSCOW_V6, "bogon": True}}
    service.answer(Reply(body=both))
    answers = a_preset(service, "ipinfo", token=TOKEN).resolve_many([LONDON, MOSCOW_V6])
    assert (answers[LONDON].city, answers[MOSCOW_V6].reason) == ("London", NOT_FOUND)
    assert [(one.path, one.body) for one in service.asked] == [("/batch", [LONDON, MOSCOW_V6])]


def test_ipinfo__says_whose_data_it_is():
    (source,) = HttpJsonProvider("ipinfo", token=TOKEN).sources()
    assert (source.name, "IPinfo" in source.attribution) == ("ipinfo.io", True)


# As their documents show them.
LITE_ANSWER = {
    "ip": "8.8.8.8",
    "asn": "AS15169",
    "as_name": "Google LLC",
    "as_domain": "google.com",
    "country_code": "US",
    "country": "United States",
    "continent_code": "NA",
    "continent": "North America",
}
CORE_ANSWER = {
    "ip": "8.8.8.8",
    "geo": {
        "city": "Mountain View",
        "region": "California",
        "region_code": "CA",
        "country": "United States",
        "country_code": "US",
        "continent": "North America",
        "continent_code": "NA",
        "latitude": 37.38605,
        "longitude": -122.08385,
        "timezone": "America/Los_Angeles",
        "postal_code": "94035",
    },
    "as": {
        "asn": "AS15169",
        "name": "Google LLC",
        "domain": "google.com",
        "type": "hosting",
    },
    "is_anonymous": False,
    "is_anycast": True,
    "is_hosting": True,
    "is_mobile": False,
    "is_satellite": False,
}
PLUS_ANSWER = {
    **CORE_ANSWER,
    "hostname": "dns.google",
    "geo": {
        **CORE_ANSWER["geo"],
        "dma_code": "807",
        "geoname_id": "5375480",
        "radius": 500,
        "last_changed": "2025-11-09",
    },
    "as": {**CORE_ANSWER["as"], "last_changed": "2023-08-07"},
    "mobile": {},
    "anonymous": {
        "is_proxy": False,
        "is_relay": False,
        "is_tor": False,
        "is_vpn": True,
        "name": "A VPN",
    },
}
OPERATOR = {
    "country_code": "US",
    "continent_code": "NA",
    "asn": 15169,
    "organization": "Google LLC",
    "domain": "google.com",
}
MOUNTAIN_VIEW = {
    **OPERATOR,
    "region_code": "US-CA",
    "user_type": "hosting",
    "traits": ("anycast", "hosting_provider"),
    "region": "California",
    "city": "Mountain View",
    "postal_code": "94035",
    "latitude": 37.38605,
    "longitude": -122.08385,
    "time_zone": "America/Los_Angeles",
}
IPINFO_FORMS = {
    "ipinfo-lite": (LITE_ANSWER, OPERATOR),
    "ipinfo-core": (CORE_ANSWER, MOUNTAIN_VIEW),
    "ipinfo-plus": (
        PLUS_ANSWER,
        {
            **MOUNTAIN_VIEW,
            "accuracy_radius_km": 500,
            "metro_code": 807,
            "traits": ("anonymous_vpn", "anycast", "hosting_provider"),
            "details": {
                "provider_name": "A VPN",
                "geo_changed": "2025-11-09",
                "as_changed": "2023-08-07",
            },
        },
    ),
}


@pytest.mark.parametrize("name", IPINFO_FORMS)
def test_ipinfo__each_of_its_plans_has_a_preset(service, name):
    answer, expected = IPINFO_FORMS[name]
    service.answer(Reply(body=answer))
    provider = a_preset(service, name, token=TOKEN)
    location = provider.resolve("8.8.8.8")
    assert said_fields(location) == expected
    assert location.source == "ipinfo.io"
    (asked,) = service.asked
    folder = "lite" if name == "ipinfo-lite" else "lookup"
    assert asked.path == f"/{folder}/8.8.8.8"
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("name", IPINFO_FORMS)
def test_ipinfo__bogons_are_not_found_in_each_plan(service, name):
    service.answer(Reply(body={"ip": LONDON, "bogon": True}))
    assert a_preset(service, name, token=TOKEN).resolve(LONDON).reason == NOT_FOUND


@pytest.mark.parametrize("name", IPINFO_FORMS)
def test_ipinfo__the_answer_of_another_plan_is_a_failure(service, name):
    service.answer(Reply(body=IPINFO_FORMS[name][0]))
    assert "answers with" in refusal(a_preset(service, "ipinfo", token=TOKEN), "8.8.8.8")


@pytest.mark.parametrize("name", IPINFO_FORMS)
def test_ipinfo__a_country_without_a_place_is_an_answer(service, name):
    answer = {"ip": LONDON, "country_code": "GB", "geo": {"country_code": "GB"}}
    service.answer(Reply(body=answer))
    assert a_preset(service, name, token=TOKEN).resolve(LONDON).country_code == "GB"


@pytest.mark.parametrize(
    "message", ["SSL unavailable for this endpoint, order a key", "invalid key", None]
)
def test_ip_api__a_failure_that_is_not_about_the_address_is_one(service, message):
    service.answer(Reply(body={"status": "fail", "message": message, "query": LONDON}))
    assert "without the fields" in refusal(a_preset(service, "ip-api"))


@pytest.mark.parametrize("message", ["reserved range", "private range", "invalid query"])
def test_ip_api__each_failure_about_the_address_is_not_found(service, message):
    service.answer(Reply(body={"status": "fail", "message": message, "query": LONDON}))
    assert a_preset(service, "ip-api").resolve(LONDON).reason == NOT_FOUND


@pytest.mark.parametrize(
    ("preset", "url", "words"),
    [
        ("ipinfo", "https://api.ipinfo.io/lite/{address}", "preset ipinfo-lite"),
        ("ipinfo", "http://127.0.0.1:1/lite/{address}", "preset ipinfo-lite"),
        ("ipinfo", "https://api.ipinfo.io/lookup/{address}", "ipinfo-core or ipinfo-plus"),
        ("ipinfo-lite", "https://ipinfo.io/{address}/json", "preset ipinfo,"),
        ("ipinfo-lite", "https://api.ipinfo.io/lookup/{address}", "ipinfo-core or ipinfo-plus"),
        ("ipinfo-core", "https://api.ipinfo.io/lite/{address}", "preset ipinfo-lite"),
        ("ipinfo-plus", "https://ipinfo.io/{address}", "preset ipinfo,"),
        ("ip-api", "https://ipinfo.io/lite/{address}", "preset ipinfo-lite"),
        ("ipinfo", "https://ipinfo.io/{address}", ""),
        ("ipinfo", "https://proxy.example/ipinfo/{address}", ""),
        ("ipinfo-lite", "https://proxy.example/ipinfo/{address}", ""),
        ("ipinfo-lite", "https://proxy.example/x/lite/{address}", ""),
        ("ipinfo-plus", "https://api.ipinfo.io/lookup/{address}?pretty=1", ""),
        ("ip-api", "https://pro.ip-api.com/json/{address}?key={token}", ""),
        ("ip-api", "https://[", ""),
    ],
)
def test_doubts__url_of_another_preset(preset, url, words):
    token = TOKEN if preset != "ip-api" or "{token}" in url else ""
    told = " ".join(HttpJsonProvider(preset, url=url, token=token).doubts())
    assert words in told
    assert bool(told) is bool(words)


def test_doubts__own_fields_are_the_owners_business():
    url, fields = "https://api.ipinfo.io/lite/{address}", {"country_code": "country_code"}
    assert HttpJsonProvider("ipinfo", url=url, fields=fields, token=TOKEN).doubts() == []
    assert HttpJsonProvider(url=url, fields=fields, token=TOKEN).doubts() == []


def test_check__names_a_url_that_the_preset_is_not_for(settings):
    given = {"preset": "ipinfo", "token": TOKEN, "url": "https://api.ipinfo.io/lite/{address}"}
    backend = "geocache.providers.http.json_service.HttpJsonProvider"
    member = {"BACKEND": backend, "OPTIONS": given}
    chain = {
        "BACKEND": "geocache.providers.chain.ChainProvider",
        "OPTIONS": {"providers": [member]},
    }
    for provider in (member, chain):
        settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": provider}
        assert [one.id for one in checks.check_doubts()] == ["geocache.W048"]
        assert checks.check_provider() == []


@pytest.mark.parametrize("name", PRESETS)
def test_presets__are_whole(name):
    assert HttpJsonProvider(name, token="" if name == "ip-api" else TOKEN).check() == []


# --- a mapping ---------------------------------------------------------------------------------


def test_resolve__fields_network_and_token_by_the_mapping(service):
    service.answer(Reply(body={"place": {"names": ["London"]}, "net": "81.2.69.0/24"}))
    location = a_provider(service).resolve(LONDON)
    assert (location.city, location.network) == ("London", "81.2.69.0/24")
    assert location.source == "Test service"
    (asked,) = service.asked
    assert asked.path == f"/where/{LONDON}?key=hunter2%2Ftoken"
    assert asked.headers["X-Key"] == f"key={TOKEN}"


def test_resolve__ipv6(service):
    service.answer(Reply(body={"place": {"names": ["Moscow"]}, "net": "2A02:6B8::/32"}))
    location = a_provider(service).resolve(MOSCOW_V6)
    assert (location.city, location.network) == ("Moscow", "2a02:6b8::/32")
    assert service.paths()[0].startswith(f"/where/{MOSCOW_V6}?")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=404, body=b"<html>"),
        Reply(body={"error": {"code": 7}}),
        Reply(body={"place": {"names": [""]}, "net": None}),
        Reply(body={"net": None}),
    ],
    ids=["status", "value", "empty", "null"],
)
def test_resolve__not_found_is_an_answer(service, reply):
    service.answer(reply)
    assert a_provider(service).resolve(LONDON).reason == NOT_FOUND


def test_resolve__not_found_holds_for_the_network_that_is_named(service):
    service.answer(Reply(body={"error": {"code": 7}, "net": "81.2.69.0/24"}))
    answer = a_provider(service).resolve(LONDON)
    assert (answer.reason, answer.network) == (NOT_FOUND, "81.2.69.0/24")


def test_resolve__an_answer_without_its_fields_is_a_failure_and_not_not_found(service):
    service.answer(Reply(body={"renamed": "London"}))
    assert "without the fields" in refusal(a_provider(service))


@pytest.mark.parametrize(
    "body",
    [
        {"country": "United States", "asn": None},
        {"country": "USA"},
        {"country": 5, "city": "-"},
        {"country": {"code": "US"}},
        {"country": "US, GB", "asn": "Google"},
        {"lat": "north"},
    ],
    ids=str,
)
def test_resolve__an_answer_of_which_nothing_can_be_read_is_a_failure(service, body):
    service.answer(Reply(body=body))
    fields = {"country_code": "country", "asn": "asn", "city": "city", "latitude": "lat"}
    provider = a_provider(service, fields=fields)
    assert "of which none can be read" in refusal(provider)


@pytest.mark.parametrize(
    "body", [{"country": "-", "city": None}, {"country": "ZZ", "asn": "AS0"}, {"asn": 0}], ids=str
)
def test_resolve__an_answer_that_says_nothing_in_each_field_is_not_found(service, body):
    service.answer(Reply(body=body))
    fields = {"country_code": "country", "asn": "asn", "city": "city", "organization": "asn"}
    assert a_provider(service, fields=fields).resolve(LONDON).reason == NOT_FOUND


def test_resolve__a_field_that_cannot_be_read_is_logged_once_by_its_name(service):
    service.answer(Reply(body={"country": "United States", "city": "London"}))
    provider = a_provider(service, fields={"country_code": "country", "city": "city"})
    with capture_logs() as logs:
        assert provider.resolve(LONDON).city == "London"
        provider.resolve(LONDON)
    assert [(log["event"], log["fields"]) for log in logs] == [("geo_fields_not_read", ["country"])]


@pytest.mark.django_db
def test_lookup__an_answer_that_cannot_be_read_is_neither_kept_nor_counted(service, settings):
    options = {
        "url": f"http://{service.host}/{{address}}",
        "fields": {"country_code": "country"},
        "queries_per_day": 1,
    }
    backend = "geocache.providers.http.json_service.HttpJsonProvider"
    settings.GEOCACHE = {
        **settings.GEOCACHE,
        "PROVIDER": {"BACKEND": backend, "OPTIONS": options},
    }
    service.answer(Reply(body={"country": "Germany"}), Reply(body={"country": "DE"}))
    assert lookup(LONDON).reason == UNAVAILABLE
    assert lookup(LONDON).country_code == "DE"


def test_resolve__no_password_out_of_netrc(service, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    service.answer(Reply(body={"net": None}))
    a_provider(service).resolve(LONDON)
    assert "Authorization" not in service.asked[0].headers


# --- faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(status=401), "refuses the account or the key"),
        (Reply(status=402), "out of queries"),
        (Reply(status=403), "does not allow"),
        (Reply(status=429, headers={"Retry-After": "7"}), "asked too often"),
        (Reply(status=500), "status 500"),
        (Reply(status=503, body=b"<html>"), "status 503"),
        (Reply(status=204), "status 204"),
        (Reply(status=302, headers={"Location": "/elsewhere"}), "redirects"),
        (Reply(status=307, headers={"Location": "http://127.0.0.1:1/"}), "redirects"),
        (Reply(is_cut=True), "broke off"),
        (Reply(zeros=2**24), "more than any answer"),
        (Reply(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}), "cannot be read"),
        *((Reply(body=body), "cannot be read") for body in (b"", b"{", b"\xff", b"5", b"[]")),
        (Reply(body=b"[" * 100_000), "cannot be read"),
        (Reply(body=b'{"net": ' + b"9" * 5000 + b"}"), "cannot be read"),
    ],
    ids=lambda value: None if isinstance(value, str) else f"{value.status}-{value.data()[:20]}",
)
def test_fault__is_told_in_words(service, reply, words):
    service.answer(reply)
    assert words in refusal(a_provider(service))


@pytest.mark.parametrize("reply", [Reply(is_silent=True), Reply(is_dripping=True)])
def test_fault__an_answer_that_takes_too_long_is_given_up(service, reply):
    service.answer(reply)
    assert "did not answer in time" in refusal(a_provider(service, timeout_seconds=0.2))


def test_fault__nobody_listens():
    with serving() as gone:
        pass
    assert "cannot be reached" in refusal(a_provider(gone))


def test_fault__redirects_are_not_followed_and_the_token_stays_here(service):
    with serving() as other:
        service.answer(Reply(status=302, headers={"Location": f"http://{other.host}/"}))
        assert "redirects" in refusal(a_provider(service))
        assert other.asked == []


def test_fault__who_is_asked_too_often_is_left_alone(service):
    provider = a_provider(service)
    service.answer(Reply(status=429), Reply(body={"net": None}))
    refusal(provider)
    assert "was asked too often" in refusal(provider)
    assert len(service.asked) == 1


@pytest.mark.parametrize("named", ["81.2.69.143", "nonsense", 5, ""])
def test_fault__an_answer_for_another_address_is_refused(service, named):
    service.answer(Reply(body={**IP_API_ANSWER, "query": named}))
    assert "another address" in refusal(a_preset(service, "ip-api"))


@pytest.mark.parametrize("name", ["ip-api", "ipinfo", "ipinfo-core", "ipinfo-lite"])
@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 0, -1, 91, 2**80, 1e400, "", "nan", "1e5", "\0", "\ud800", "²"),
        *("x" * 9999, "AS", "AS99999999999 X", ",", ",,", [], [[]], {}, {"0": 1}),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_resolve__a_field_of_any_type_is_coerced_or_refused(service, name, value):
    answer, provider = {
        "ip-api": (IP_API_ANSWER, a_preset(service, "ip-api")),
        "ipinfo": (IPINFO_ANSWER, a_preset(service, "ipinfo", token=TOKEN)),
        "ipinfo-core": (
            {**CORE_ANSWER, "ip": LONDON},
            a_preset(service, "ipinfo-core", token=TOKEN),
        ),
        "ipinfo-lite": (
            {**LITE_ANSWER, "ip": LONDON},
            a_preset(service, "ipinfo-lite", token=TOKEN),
        ),
    }[name]
    for field in answer:
        service.answer(Reply(body={**answer, field: value}))
        try:
            location = provider.resolve(LONDON)
        except ProviderError:
            assert field in ("ip", "query")
            continue
        assert load_locations(dump_locations([location])) == [location]
        shown = "".join(map(str, location.to_plain().values()))
        assert "\0" not in shown
        assert shown.encode()


# --- batches -----------------------------------------------------------------------------------


def in_batches(stand_in, **batch):
    given = {"url": f"http://{stand_in.host}/many", "size": 2, **batch}
    return a_provider(stand_in, address="ip", batch=given)


def records(*addresses):
    return [{"ip": one, "place": {"names": [f"at {one}"]}} for one in addresses]


def test_batch__its_shape_is_by_the_mapping(service):
    service.answer(Reply(body={"data": {"all": records("1.1.1.2", "1.1.1.1")}}))
    provider = in_batches(service, wrapped_in="ips", answers="data.all")
    answers = provider.resolve_many(["1.1.1.1", "1.1.1.2"])
    assert [answers[one].city for one in answers] == ["at 1.1.1.1", "at 1.1.1.2"]
    assert service.asked[0].body == {"ips": ["1.1.1.1", "1.1.1.2"]}


def test_batch__a_single_address_is_asked_for_by_itself(service):
    service.answer(Reply(body=records(LONDON)[0]))
    assert set(in_batches(service).resolve_many([LONDON])) == {LONDON}
    assert service.asked[0].method == "GET"


def test_batch__ipv6_in_another_spelling(service):
    service.answer(Reply(body=records("2A02:06B8:0::1", LONDON)))
    assert set(in_batches(service).resolve_many([LONDON, MOSCOW_V6])) == {LONDON, MOSCOW_V6}


@pytest.mark.parametrize("bad", [None, 5, [], {}, {"ip": "1.1.1.2"}, {"ip": ["1.1.1.2"]}])
def test_batch__what_cannot_be_read_is_left_out(service, bad):
    service.answer(Reply(body=[*records("1.1.1.1"), bad]))
    assert set(in_batches(service).resolve_many(["1.1.1.1", "1.1.1.2"])) == {"1.1.1.1"}


@pytest.mark.parametrize("body", [b"", b"5", b"null", b"[]", b"{}", b"[1, 2]", b'"text"'])
def test_batch__nothing_that_can_be_read_is_a_failure(service, body):
    service.answer(Reply(body=body))
    with pytest.raises(ProviderError, match="cannot be read"):
        in_batches(service).resolve_many(["1.1.1.1", "1.1.1.2"])


def test_batch__what_was_answered_before_a_failure_is_kept(service):
    service.answer(Reply(body=records("1.1.1.1", "1.1.1.2")), Reply(status=500))
    answers = in_batches(service).resolve_many([f"1.1.1.{n}" for n in range(1, 9)])
    assert set(answers) == {"1.1.1.1", "1.1.1.2"}
    assert len(service.asked) == 2


@pytest.mark.django_db
def test_lookup_many__asks_in_one_batch_and_then_never_again(service, settings):
    options = {
        "url": f"http://{service.host}/{{address}}",
        "batch": {"url": f"http://{service.host}/many"},
        "fields": {"city": "place.names.0"},
        "address": "ip",
    }
    backend = "geocache.providers.http.json_service.HttpJsonProvider"
    provider = {"BACKEND": backend, "OPTIONS": options}
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": provider}
    service.answer(Reply(body=records("1.1.1.1", "1.1.1.2")))
    for _ in range(2):
        answers = lookup_many(["1.1.1.1", "1.1.1.2"])
        assert [one.city for one in answers.values()] == ["at 1.1.1.1", "at 1.1.1.2"]
    assert service.paths() == ["/many"]


@pytest.mark.django_db
def test_lookup_many__neighbours_are_in_one_batch_where_no_network_is_named(service, settings):
    """Rounds of one address a network would only be more batches."""
    batch = {"url": f"http://{service.host}/many"}
    provider = {
        "BACKEND": "geocache.providers.http.json_service.HttpJsonProvider",
        "OPTIONS": {"preset": "ip-api", "batch": batch},
    }
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": provider}
    addresses = [f"81.2.69.{n}" for n in range(60)] + [f"81.2.{n}.1" for n in range(40)]
    service.answer(Reply(body=[{**IP_API_ANSWER, "query": one} for one in addresses]))
    assert all(lookup_many(addresses).values())
    assert service.paths() == ["/many"]


# --- set-up ------------------------------------------------------------------------------------

GOOD = {"url": "https://a.example/{address}", "fields": {"city": "city"}}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": ""}, "url is no http"),
        ({"url": "ftp://a.example/{address}"}, "url is no http"),
        ({"url": "http://[/{address}"}, "url is no http"),
        ({"url": "https://a.example/"}, "no {address}"),
        ({"fields": {}}, "fields are not named"),
        ({"name": "n" * 201}, "name is not 1 to 200 printable letters"),
        ({"fields": {"town": "city"}}, "town"),
        ({"fields": {"city": 5}}, "a path is not text"),
        ({"not_found": {5: 5}}, "a path is not text"),
        ({"headers": {"X-Key": "{token}"}}, "token is not set"),
        ({"url": "https://a.example/{address}?k={token}"}, "token is not set"),
        ({"token": "hunter2\n"}, "token is not ASCII"),
        ({"headers": {"X": "hunter2ü"}}, "headers are not ASCII"),
        ({"headers": {"X": 5}}, "headers are not ASCII"),
        ({"token": "hunter2", "url": "http://a.example/{address}"}, "plain http"),
        ({"address": "ip", "batch": {"url": "many"}}, "batch url is no http"),
        ({"address": "ip", "batch": {"url": "https://a.example", "size": 0}}, "batch size"),
        ({"batch": {"url": "https://a.example"}}, "address is not named"),
    ],
    ids=repr,
)
def test_check__names_what_is_wrong(options, words):
    provider = HttpJsonProvider(**GOOD | options)
    problems = provider.check()
    assert any(words in problem for problem in problems)
    assert "hunter2" not in "".join(problems)
    for ask in (provider.build, provider.sources, lambda: provider.resolve(LONDON)):
        with pytest.raises(ProviderError):
            ask()


def test_check__is_part_of_manage_check(settings):
    backend = "geocache.providers.http.json_service.HttpJsonProvider"
    provider = {"BACKEND": backend, "OPTIONS": {"preset": "ipinfo"}}
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": provider}
    (found,) = checks.check_provider()
    assert (found.id, found.msg) == ("geocache.W006", "ipinfo.io: token is not set")


@pytest.mark.parametrize(
    "options",
    [
        {"preset": "nobody"},
        {"preset": "ip-api", "urls": "hunter2"},
        {"url": None},
        {"batch": {"uri": "hunter2"}, **GOOD},
        {"batch": 5, **GOOD},
        {"timeout_seconds": 0, **GOOD},
        {"timeout_seconds": "5", **GOOD},
        {"timeout_seconds": float("nan"), **GOOD},
    ],
    ids=repr,
)
def test_options__that_do_not_exist_are_refused(settings, options):
    backend = "geocache.providers.http.json_service.HttpJsonProvider"
    provider = {"BACKEND": backend, "OPTIONS": options}
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": provider}
    with pytest.raises(ImproperlyConfigured) as refused:
        factory.current()
    assert "hunter2" not in str(refused.value)


def test_build__changes_with_what_is_read():
    build = HttpJsonProvider(**GOOD).build()
    assert HttpJsonProvider(**GOOD, token=TOKEN).build() == build
    assert HttpJsonProvider(**{**GOOD, "fields": {"city": "town"}}).build() != build
    assert HttpJsonProvider(**GOOD, name="Other").build() != build


def test_provider__is_metered_and_shows_no_secret(service):
    provider = a_provider(service, headers={"Authorization": "Bearer hunter2"})
    assert provider.is_metered
    shown = repr(provider) + repr(provider.service) + provider.build() + repr(provider.sources())
    assert "hunter2" not in shown
