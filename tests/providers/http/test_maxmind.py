import asyncio
import base64
import copy
import logging
import os
import ssl
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
import trustme
from structlog.testing import capture_logs

from geocache.exceptions import ProviderError
from geocache.journal.flush import flush_dirty
from geocache.location import NOT_FOUND, dump_locations, load_locations
from geocache.lookup import lookup
from geocache.providers import factory, quota
from geocache.providers.coercion import network_around
from geocache.providers.http import maxmind
from geocache.providers.http.base import CONNECTIONS, FAILURES_IN_A_ROW, MANY
from geocache.providers.http.maxmind import ATTRIBUTION, SERVICES, MaxMindProvider
from geocache.providers.merging import said_fields
from tests.factories import CITY_RECORD, LONDON, MOSCOW_V6
from tests.support.http_server import CITY_TYPE, ERROR_TYPE, Reply, serving

ACCOUNT, KEY = "424242", "hunter2_licence_key"
NETWORK = "81.2.69.128/26"
RECORD = {
    **CITY_RECORD,
    "traits": {
        "ip_address": LONDON,
        "network": NETWORK,
        "autonomous_system_number": 64500,
        "autonomous_system_organization": "Test Networks",
    },
    "maxmind": {"queries_remaining": 977},
}

PLACE = {
    "country_code": "GB",
    "continent_code": "EU",
    "region": "England",
    "region_code": "GB-ENG",
    "city": "Testville",
    "postal_code": "T1",
    "latitude": 51.5,
    "longitude": -0.1,
    "accuracy_radius_km": 10,
    "time_zone": "Europe/London",
    "asn": 64500,
    "organization": "Test Networks",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    made.cert_pem.write_to_path(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("127.0.0.1").configure_cert(context)
    return path, context


@pytest.fixture
def service(authority, monkeypatch):
    path, context = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    with serving(context) as stand_in:
        yield stand_in


def ok(record=RECORD, **changes):
    return Reply(body={**record, **changes}, content_type=CITY_TYPE)


def error(status, code, **options):
    body = {"code": code, "error": f"the service says {code}"}
    return Reply(status=status, body=body, content_type=ERROR_TYPE, **options)


def a_provider(stand_in, **options):
    given = {"account_id": ACCOUNT, "license_key": KEY, "host": stand_in.host, "timeout_seconds": 2}
    return MaxMindProvider(**given | options)


def many(address):
    """So many that several are asked about at a time."""
    return [address, *(f"81.2.70.{n}" for n in range(MANY))]


def refusal(provider, address=LONDON, is_batch=False):
    """The failure of a look-up; no form of it has a secret."""
    ask, asked = (provider.resolve_many, many(address)) if is_batch else (provider.resolve, address)
    with capture_logs() as logs, pytest.raises(ProviderError) as caught:
        ask(asked)
    basic = base64.b64encode(f"{ACCOUNT}:{KEY}".encode()).decode()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(logs)
    assert KEY not in shown
    assert basic not in shown
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("MaxMind GeoIP ")
    return message


# --- answers -----------------------------------------------------------------------------------


def test_resolve__asks_as_maxmind_documents_it(service):
    service.answer(ok())
    a_provider(service).resolve(LONDON)
    (asked,) = service.asked
    assert (asked.method, asked.path) == ("GET", f"/geoip/v2.1/city/{LONDON}")
    kind, _, credentials = asked.headers["Authorization"].partition(" ")
    assert (kind, base64.b64decode(credentials).decode()) == ("Basic", f"{ACCOUNT}:{KEY}")


def test_resolve__all_fields_and_the_network(service):
    service.answer(ok())
    location = a_provider(service).resolve(LONDON)
    assert (location.address, location.network, location.reason) == (LONDON, NETWORK, "")
    assert location.source == "MaxMind GeoIP city service"
    assert said_fields(location) == PLACE


def test_resolve__insights_says_what_kind_of_network_it_is(service):
    traits = {
        "connection_type": "Cable/DSL",
        "domain": "example.net",
        "ip_risk_snapshot": 99.5,
        "is_anycast": True,
        "isp": "An ISP",
        "mobile_country_code": "310",
        "mobile_network_code": "004",
        "organization": "Customer",
        "static_ip_score": 1.5,
        "user_count": 7,
        "user_type": "residential",
    }
    anonymizer = {
        "confidence": 99,
        "is_anonymous": True,
        "is_anonymous_vpn": True,
        "is_tor_exit_node": False,
        "network_last_seen": "2025-04-14",
        "provider_name": "A VPN",
        "residential": {"confidence": 82, "provider_name": "quickshift"},
    }
    more = {
        "anonymizer": anonymizer,
        "continent": {"code": "EU"},
        "registered_country": {"iso_code": "FR", "is_in_european_union": True},
        "traits": {**RECORD["traits"], **traits},
    }
    service.answer(ok(**more))
    location = a_provider(service, service="insights").resolve(LONDON)
    assert said_fields(location) == {
        **PLACE,
        **{name: traits[name] for name in ("connection_type", "domain", "isp", "user_type")},
        "mobile_country_code": "310",
        "mobile_network_code": "004",
        "registered_country_code": "FR",
        "traits": ("anonymous", "anonymous_vpn", "anycast", "residential_proxy"),
        "details": {
            "anonymizer_confidence": 99,
            "ip_risk_snapshot": 99.5,
            "network_last_seen": "2025-04-14",
            "provider_name": "A VPN",
            "residential_confidence": 82,
            "residential_provider_name": "quickshift",
            "static_ip_score": 1.5,
            "user_count": 7,
        },
    }


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"continent": {"code": "EU"}}, "continent_code"),
        ({"traits": {"user_type": "cafe"}}, "user_type"),
        ({"traits": {"is_anycast": True}}, "traits"),
    ],
)
def test_resolve__one_field_is_an_answer(service, part, field):
    traits = {**RECORD["traits"], **part.get("traits", {})}
    only = {name: traits[name] for name in ("ip_address", "network", *part.get("traits", {}))}
    service.answer(ok({**part, "traits": only}))
    assert list(said_fields(a_provider(service).resolve(LONDON))) == [field]


@pytest.mark.parametrize("name", SERVICES)
def test_resolve__each_service_at_its_path(service, name):
    service.answer(ok())
    assert a_provider(service, service=name).resolve(LONDON).country_code == "GB"
    assert service.paths() == [f"/geoip/v2.1/{name}/{LONDON}"]


def test_resolve__ipv6_in_another_spelling(service):
    traits = {"ip_address": "2A02:06B8:0:0:0:0:0:1", "network": "2a02:6b8::/32"}
    service.answer(ok(traits=traits))
    location = a_provider(service).resolve(MOSCOW_V6)
    assert (location.network, location.city) == ("2a02:6b8::/32", "Testville")


def test_resolve__queries_remaining_is_kept_for_people(service):
    provider = a_provider(service)
    assert provider.queries_remaining is None
    service.answer(ok())
    provider.resolve(LONDON)
    assert provider.queries_remaining == 977


@pytest.mark.parametrize("remaining", [None, "977", -1, True, [], 1.5, 2**70])
def test_resolve__queries_remaining_that_is_no_count_is_none(service, remaining):
    provider = a_provider(service)
    service.answer(ok(maxmind={"queries_remaining": remaining}))
    assert provider.resolve(LONDON)
    assert provider.queries_remaining is None


@pytest.mark.parametrize("code", ["IP_ADDRESS_NOT_FOUND", "IP_ADDRESS_RESERVED"])
def test_resolve__not_found_is_an_answer(service, code):
    service.answer(error(404, code))
    location = a_provider(service).resolve(LONDON)
    assert (location.reason, location.network) == (NOT_FOUND, "")


@pytest.mark.parametrize(
    ("part", "is_failure"),
    [
        ({"country": {"iso_code": "USA"}}, True),
        ({"city": {"names": {"de": "Wien"}}}, True),
        ({"location": {"latitude": 91}}, True),
        ({"country": {"iso_code": "ZZ"}}, False),
        ({"city": {"names": {"en": "-"}}}, False),
        ({"country": {}}, False),
    ],
    ids=str,
)
def test_resolve__a_record_of_which_nothing_can_be_read_is_a_failure(service, part, is_failure):
    service.answer(ok({"traits": {"ip_address": LONDON, "network": NETWORK}}, **part))
    provider = a_provider(service)
    if is_failure:
        assert "none can be read" in refusal(provider)
    else:
        assert provider.resolve(LONDON).reason == NOT_FOUND


def test_resolve__a_record_without_a_place_is_not_found_with_its_network(service):
    service.answer(Reply(body={"traits": {"ip_address": LONDON, "network": NETWORK}}))
    location = a_provider(service).resolve(LONDON)
    assert (location.reason, location.network) == (NOT_FOUND, NETWORK)


@pytest.mark.parametrize("network", [None, "9.0.0.0/8", "81.0.0.0/7", "0.0.0.0/0", "::/0"])
def test_resolve__a_network_that_cannot_be_is_left_out(service, network):
    service.answer(ok(traits={"ip_address": LONDON, "network": network}))
    location = a_provider(service).resolve(LONDON)
    assert (location.network, location.city) == ("", "Testville")


@pytest.mark.django_db
def test_lookup__an_address_in_a_known_network_costs_no_query(service, settings):
    backend = "geocache.providers.http.maxmind.MaxMindProvider"
    options = {"account_id": ACCOUNT, "license_key": KEY, "host": service.host}
    settings.GEOCACHE = {
        **settings.GEOCACHE,
        "PROVIDER": {"BACKEND": backend, "OPTIONS": options},
    }
    service.answer(ok())
    assert lookup(LONDON).city == "Testville"
    flush_dirty()
    neighbour = lookup("81.2.69.143")
    assert (neighbour.city, neighbour.address) == ("Testville", "81.2.69.143")
    assert len(service.asked) == 1
    assert factory.current().queries_remaining == 977


# --- faults ------------------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["one", "many"])
def failure(request):
    """What is said of a failure, of one question and of several at a time."""
    return partial(refusal, is_batch=request.param)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (error(401, "AUTHORIZATION_INVALID"), "refuses the account or the key"),
        (error(401, "LICENSE_KEY_REQUIRED"), "refuses the account or the key"),
        (error(401, "ACCOUNT_ID_UNKNOWN"), "refuses the account or the key"),
        (Reply(status=401, body=b"<html>no</html>", content_type="text/html"), "(401)"),
        (error(402, "INSUFFICIENT_FUNDS"), "out of queries"),
        (error(402, "OUT_OF_QUERIES"), "out of queries"),
        (error(403, "PERMISSION_REQUIRED"), "does not allow this account"),
        (error(400, "IP_ADDRESS_INVALID"), "status 400"),
        (error(429, "TOO_MANY"), "asked too often"),
        (Reply(status=429, body=b"slow down", content_type="text/plain"), "asked too often"),
        (Reply(status=429), "asked too often"),
        (Reply(status=404, body=b"<html>", content_type="text/html"), "status 404"),
        (Reply(status=404), "status 404"),
        (Reply(status=500), "status 500"),
        (Reply(status=503, body=b"down", content_type="text/html"), "status 503"),
        (Reply(status=204), "status 204"),
        (Reply(status=302, headers={"Location": "https://127.0.0.1:1/"}), "redirects"),
        (Reply(is_cut=True), "broke off in the middle"),
        (Reply(zeros=2**24), "more than any answer"),
    ],
    ids=lambda value: None if isinstance(value, str) else f"{value.status}-{value.data()[:40]}",
)
def test_fault__is_told_in_words(service, reply, words, failure):
    service.answer(reply)
    assert words in failure(a_provider(service))


@pytest.mark.parametrize("reply", [Reply(is_silent=True), Reply(is_dripping=True)])
def test_fault__an_answer_that_takes_too_long_is_given_up(service, reply, failure):
    service.answer(reply)
    assert "did not answer in time" in failure(a_provider(service, timeout_seconds=0.2))


def test_fault__nobody_listens(failure):
    with serving() as gone:
        pass
    assert "cannot be reached" in failure(a_provider(gone))


def test_fault__a_certificate_that_nobody_vouches_for(service, monkeypatch, failure):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert "no certificate" in failure(a_provider(service))


def test_fault__redirects_are_not_followed_and_the_account_stays_here(service, authority, failure):
    with serving(authority[1]) as other:
        other.answer(ok())
        service.answer(Reply(status=302, headers={"Location": f"https://{other.host}/x"}))
        assert "redirects" in failure(a_provider(service))
        assert other.asked == []


def test_fault__out_of_queries_leaves_none_remaining(service, failure):
    provider = a_provider(service)
    service.answer(error(402, "OUT_OF_QUERIES"))
    failure(provider)
    assert provider.queries_remaining == 0


def test_fault__an_answer_for_another_address_is_refused(service, failure):
    service.answer(ok())
    assert "another address" in failure(a_provider(service), "81.2.69.143")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"not json", b"\xff\xfe", b"null", b"5", b"[]", b'"text"', b'{"traits": 1}'),
        *(b'{"": 1}', b'{"self": 1}', b'{"traits": {"": 1}}', b'{"_locales": 1}'),
        b"[" * 100_000,
        b'{"city": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: body[:20].decode(errors="replace"),
)
@pytest.mark.parametrize("status", [200, 400])
def test_fault__malformed_json(service, body, status, failure):
    service.answer(Reply(status=status, body=body, content_type=CITY_TYPE))
    message = failure(a_provider(service))
    assert any(words in message for words in ("cannot be read", "another address", "status 400"))


def test_fault__no_content_type(service):
    service.answer(Reply(body=RECORD, content_type=""))
    assert "cannot be read" in refusal(a_provider(service))


def paths_in(record, before=()):
    for name, value in record.items() if isinstance(record, dict) else enumerate(record):
        yield (*before, name)
        if isinstance(value, dict | list):
            yield from paths_in(value, (*before, name))


HOSTILE = [None, True, 0, -1, 2**80, 1e400, "", "nan", "\0", "\ud800", "x" * 9999, [], [[]], {}]


# What ipaddress says of a network that is true or false, before it refuses it.
@pytest.mark.filterwarnings("ignore:__int__ returned non-int:DeprecationWarning")
@pytest.mark.parametrize("path", list(paths_in(RECORD)), ids=lambda path: ".".join(map(str, path)))
def test_resolve__a_field_of_any_type_is_coerced_or_refused(service, path):
    provider = a_provider(service)
    for value in (*HOSTILE, {"en": 5}, {"names": [1]}):
        record = copy.deepcopy(RECORD)
        holder = record
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = value
        service.answer(ok(record))
        try:
            location = provider.resolve(LONDON)
        except ProviderError:
            continue
        assert load_locations(dump_locations([location])) == [location]
        assert "\0" not in repr(location.to_plain())
        dump_locations([location]).encode()
        location.city.encode()


# --- asked too often ---------------------------------------------------------------------------


@pytest.mark.parametrize("retry_after", ["30", "", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_rest__who_is_asked_too_often_is_left_alone(service, retry_after):
    provider = a_provider(service)
    service.answer(Reply(status=429, headers={"Retry-After": retry_after}), ok())
    refusal(provider)
    assert "was asked too often" in refusal(provider)
    assert len(service.asked) == 1


def test_rest__is_over_after_the_time_that_was_asked_for(service):
    provider = a_provider(service)
    service.answer(Reply(status=429, headers={"Retry-After": "0"}), ok())
    refusal(provider)
    assert provider.resolve(LONDON)


def test_rest__holds_for_all_threads(service):
    provider = a_provider(service)
    service.answer(Reply(status=429, headers={"Retry-After": "30"}), ok())
    refusal(provider)
    with ThreadPoolExecutor(1) as pool:
        assert isinstance(pool.submit(provider.resolve, LONDON).exception(), ProviderError)
    assert len(service.asked) == 1


# --- many --------------------------------------------------------------------------------------


def test_resolve_many__gives_up_after_failures_in_a_row(service):
    service.answer(Reply(status=500))
    with pytest.raises(ProviderError, match="status 500"):
        a_provider(service).resolve_many([f"81.2.69.{n}" for n in range(MANY - 1)])
    assert len(service.asked) == FAILURES_IN_A_ROW


def test_resolve_many__returns_what_was_answered_before(service):
    service.answer(ok(), Reply(status=500))
    answers = a_provider(service).resolve_many([LONDON, *(f"81.2.69.{n}" for n in range(3))])
    assert set(answers) == {LONDON}


def test_resolve_many__single_failures_do_not_stop_it(service):
    service.answer(Reply(status=500), Reply(status=500), ok(), Reply(status=500))
    addresses = ["1.1.1.1", "1.1.1.2", LONDON, "1.1.1.3"]
    assert set(a_provider(service).resolve_many(addresses)) == {LONDON}


# --- several at a time ---------------------------------------------------------------------------


def answering_each(service):
    """Each is answered for itself, and that with its path."""

    def reply(asked):
        service.asked.append(asked)
        address = asked.path.rpartition("/")[2]
        return ok(traits={"ip_address": address}, postal={"code": address})

    service.next_reply = reply


ADDRESSES = [f"81.2.{n}.1" for n in range(40)]


def test_resolve_many__asks_about_several_at_a_time_and_each_gets_its_answer(service):
    answering_each(service)
    provider = a_provider(service)
    answers = provider.resolve_many(ADDRESSES)
    assert {address: one.postal_code for address, one in answers.items()} == {
        address: address for address in ADDRESSES
    }
    assert sorted(service.paths()) == sorted(f"/geoip/v2.1/city/{one}" for one in ADDRESSES)
    assert provider.queries_remaining == 977


def answering_together(service, count, seconds):
    """Answer no query before ``count`` have come."""
    together = threading.Barrier(count)
    answering_each(service)
    answer = service.next_reply

    def reply(asked):
        together.wait(timeout=seconds)
        return answer(asked)

    service.next_reply = reply


def test_resolve_many__as_many_at_a_time_as_there_are_connections(service):
    answering_together(service, CONNECTIONS, seconds=30)
    provider = a_provider(service, timeout_seconds=60)
    assert len(provider.resolve_many(ADDRESSES)) == len(ADDRESSES)


def test_resolve_many__asks_one_and_many_alike(service):
    answering_each(service)
    provider = a_provider(service)
    provider.resolve(LONDON)
    provider.resolve_many(many(LONDON))
    for name in ("Accept", "Authorization", "Host"):
        assert len({asked.headers[name] for asked in service.asked}) == 1
    assert {asked.method for asked in service.asked} == {"GET"}


def test_resolve_many__not_found_is_an_answer_among_others(service):
    service.answer(error(404, "IP_ADDRESS_NOT_FOUND"))
    answers = a_provider(service).resolve_many(ADDRESSES)
    assert {one.reason for one in answers.values()} == {NOT_FOUND}
    assert len(answers) == len(ADDRESSES)


def test_resolve_many__what_was_answered_before_failures_is_kept(service):
    answering_each(service)
    answer = service.next_reply
    service.next_reply = lambda asked: (
        answer(asked) if len(service.asked) < 10 else Reply(status=500)
    )
    assert len(a_provider(service).resolve_many(ADDRESSES)) >= 10


def test_resolve_many__at_a_time_gives_up_after_failures_in_a_row(service):
    service.answer(Reply(status=500))
    with pytest.raises(ProviderError, match="status 500"):
        a_provider(service).resolve_many(ADDRESSES)
    assert len(service.asked) < FAILURES_IN_A_ROW + CONNECTIONS


def test_resolve_many__who_is_asked_too_often_is_left_alone_by_all(service):
    provider = a_provider(service)
    service.answer(Reply(status=429, headers={"Retry-After": "30"}))
    refusal(provider, is_batch=True)
    asked_count = len(service.asked)
    assert "left alone for a while" in refusal(provider, is_batch=True)
    assert "left alone for a while" in refusal(provider)
    assert len(service.asked) == asked_count


def test_resolve_many__at_a_time_ends_where_the_service_wants_to_be_left_alone(service):
    answering_each(service)
    answer = service.next_reply
    service.next_reply = lambda asked: replace(
        answer(asked), headers={"RateLimit-Remaining": "0", "RateLimit-Reset": "47"}
    )
    provider = a_provider(service)
    answers = {}
    quota.ask(provider, answers, ADDRESSES)
    assert 1 <= len(answers) == len(service.asked) <= CONNECTIONS
    (usage,) = quota.usages(a_provider(service))
    assert (usage.asked_count, usage.is_resting) == (len(answers), True)


def test_resolve_many__at_a_time_leaves_what_was_answered_before_a_bug(service, monkeypatch):
    answering_each(service)
    provider = a_provider(service)

    def broken(address, network):
        if address == ADDRESSES[20]:
            raise RuntimeError("bug")
        return network_around(address, network)

    monkeypatch.setattr(maxmind, "network_around", broken)
    answers = {}
    with pytest.raises(RuntimeError):
        quota.ask(provider, answers, ADDRESSES)
    assert 20 - CONNECTIONS < len(answers) < len(ADDRESSES)
    assert quota.usages(provider)[0].asked_count == len(answers)


def test_aresolve_into__callers_in_an_event_loop_are_answered_together(service):
    answering_together(service, len(ADDRESSES), seconds=60)
    provider = a_provider(service, timeout_seconds=60)

    async def ask():
        answers = {}
        await asyncio.gather(*(provider.aresolve_into(answers, [one]) for one in ADDRESSES))
        return {address: one.postal_code for address, one in answers.items()}

    assert asyncio.run(ask()) == {address: address for address in ADDRESSES}


@pytest.mark.parametrize(
    "reply",
    [error(401, "ACCOUNT_ID_REQUIRED"), error(402, "OUT_OF_QUERIES"), Reply(zeros=2**22)],
    ids=repr,
)
def test_aresolve_into__is_refused_in_the_words_of_resolve(service, reply):
    service.answer(reply)
    provider = a_provider(service)
    with pytest.raises(ProviderError) as caught:
        asyncio.run(provider.aresolve_into({}, [LONDON]))
    assert str(caught.value) == refusal(provider)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_aresolve_into__what_is_set_up_wrongly_is_told(service):
    with pytest.raises(ProviderError, match="account id"):
        asyncio.run(a_provider(service, account_id="x").aresolve_into({}, [LONDON]))


def test_time_limit__is_that_of_the_requests_one_after_the_other(service):
    provider = a_provider(service, timeout_seconds=3)
    limits = {count: provider.time_limit_seconds(count) for count in (1, MANY - 1, MANY, 8, 40)}
    assert limits == {1: 6, MANY - 1: 24, MANY: 6, 8: 6, 40: 30}

    async def of_many():
        return provider.time_limit_seconds(40)

    assert asyncio.run(of_many()) == 240


def test_resolve_many__in_an_event_loop_they_are_asked_for_one_by_one(service):
    answering_each(service)

    async def ask():
        return a_provider(service).resolve_many(ADDRESSES[:MANY])

    assert set(asyncio.run(ask())) == set(ADDRESSES[:MANY])


@pytest.mark.parametrize("names", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("is_batch", [False, True])
def test_fault__certificates_that_are_not_there(service, monkeypatch, names, is_batch, tmp_path):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.setenv(names, str(tmp_path / "none.pem"))
    assert "as it is set up" in refusal(a_provider(service), is_batch=is_batch)


@pytest.mark.parametrize("is_batch", [False, True], ids=["one", "many"])
def test_resolve__through_the_proxy_of_the_environment(monkeypatch, is_batch):
    with serving() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
        proxy.answer(Reply(status=502))
        refusal(a_provider(proxy, host="service.invalid"), is_batch=is_batch)
    assert {(one.method, one.path) for one in proxy.asked} == {("CONNECT", "service.invalid:443")}


# --- clients -----------------------------------------------------------------------------------


def test_client__is_one_for_each_thread(service):
    provider = a_provider(service)
    with ThreadPoolExecutor(1) as pool:
        assert provider.client() is provider.client()
        assert pool.submit(provider.client).result() is not provider.client()


def test_client__is_another_after_a_fork(service, monkeypatch):
    provider = a_provider(service)
    before = provider.client()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert provider.client() is not before


def test_resolve__in_threads_each_gets_the_answer_to_its_question(service):
    is_wrong = threading.Event()

    def reply(asked):
        address = asked.path.rpartition("/")[2]
        return ok(traits={"ip_address": address}, postal={"code": address})

    service.next_reply = reply
    provider = a_provider(service)

    def ask(n):
        for host in range(10):
            address = f"81.2.{n}.{host}"
            if provider.resolve(address).postal_code != address:
                is_wrong.set()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert not is_wrong.is_set()


# --- set-up ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"account_id": ""}, "account id"),
        ({"account_id": "me"}, "account id"),
        ({"license_key": ""}, "licence key"),
        ({"license_key": f"{KEY}\n"}, "licence key"),
        ({"license_key": f"{KEY}ü"}, "licence key"),
        ({"service": "town"}, "country, city, insights"),
        ({"host": "https://geolite.info/"}, "host name"),
        ({"host": ""}, "host name"),
        ({"host": "geolite.info", "service": "insights"}, "geoip.maxmind.com"),
    ],
)
def test_check__names_what_is_wrong(options, words):
    provider = MaxMindProvider(**{"account_id": ACCOUNT, "license_key": KEY} | options)
    (problem,) = provider.check()
    assert words in problem
    assert KEY not in problem
    for ask in (provider.build, provider.sources, lambda: provider.resolve(LONDON)):
        with pytest.raises(ProviderError, match=words):
            ask()


def test_check__all_is_well():
    assert MaxMindProvider(int(ACCOUNT), KEY).check() == []
    assert MaxMindProvider(ACCOUNT, KEY, host="geoip.maxmind.com", service="insights").check() == []


def test_build__is_that_of_service_and_host():
    provider = MaxMindProvider(ACCOUNT, KEY)
    assert provider.build() == "maxmind-geolite.info-city-3"
    assert MaxMindProvider("7", "other").build() == provider.build()
    assert MaxMindProvider(ACCOUNT, KEY, service="country").build() != provider.build()
    assert MaxMindProvider(ACCOUNT, KEY, host="geoip.maxmind.com").build() != provider.build()


def test_sources__with_the_attribution_that_geolite_wants():
    (source,) = MaxMindProvider(ACCOUNT, KEY).sources()
    assert (str(source), source.attribution) == ("MaxMind GeoLite city service", ATTRIBUTION)
    (source,) = MaxMindProvider(ACCOUNT, KEY, host="geoip.maxmind.com").sources()
    assert (source.name, source.attribution) == ("MaxMind GeoIP city service", "")


def test_provider__is_metered_and_shows_no_secret(service, caplog):
    provider = a_provider(service)
    service.answer(ok())
    with caplog.at_level(logging.DEBUG):
        provider.resolve(LONDON)
    assert provider.is_metered
    shown = caplog.text + repr(provider) + repr(provider.client()) + provider.build()
    assert KEY not in shown + repr(provider.sources())
