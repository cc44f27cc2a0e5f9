import asyncio
from datetime import UTC, datetime

import pytest
from django.core.exceptions import ImproperlyConfigured
from msgspec.structs import replace
from structlog.testing import capture_logs

from geocache.exceptions import ProviderError
from geocache.location import NOT_FOUND, Details
from geocache.providers.base import MAX_SOURCE_LENGTH, Provider, is_outdated
from geocache.providers.chain import ChainProvider
from geocache.providers.factory import make
from geocache.providers.quota import usages
from tests.factories import CITY_RECORD, LONDON, MOSCOW_V6, an_mmdb
from tests.support.http_server import Reply, serving

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)

CITY = {"country_code": "GB", "city": "London", "network": "81.2.69.0/24"}
OPERATOR = {"asn": 5, "organization": "Five", "network": "81.2.0.0/16"}


def member(name, fills=(), **options):
    answers = options.pop("answers", {})
    return {
        "BACKEND": "geocache.providers.dummy.DummyProvider",
        "OPTIONS": {"name": name, "answers": answers, **options},
        "FILLS": fills,
    }


def city(**options):
    return member("City", answers={LONDON: CITY}, **options)


def asked(chain):
    return [one.asked for one in chain.members]


def test_chain__the_first_that_finds_an_address_answers_and_says_so():
    chain = ChainProvider([member("Empty"), city(), member("Last", answers={LONDON: {"asn": 9}})])
    answer = chain.resolve(LONDON)
    assert (answer.city, answer.asn, answer.source) == ("London", None, "City 1")
    assert asked(chain) == [[LONDON], [LONDON], []]


def test_chain__asks_each_once_for_a_whole_batch_and_only_for_what_is_left():
    chain = ChainProvider([city(), member("Next", answers={MOSCOW_V6: {"country_code": "RU"}})])
    answers = chain.resolve_many([LONDON, MOSCOW_V6, "9.9.9.9"])
    assert [answers[one].source for one in (LONDON, MOSCOW_V6)] == ["City 1", "Next 1"]
    assert asked(chain) == [[LONDON, MOSCOW_V6, "9.9.9.9"], [MOSCOW_V6, "9.9.9.9"]]
    assert (answers["9.9.9.9"].reason, answers["9.9.9.9"].source) == (NOT_FOUND, "City 1, Next 1")


def test_chain__gaps_are_filled_by_one_that_says_so():
    operator = {LONDON: {**OPERATOR, "city": "Leeds", "country_code": "FR"}}
    chain = ChainProvider([city(), member("ASN", fills=["asn", "organization"], answers=operator)])
    answer = chain.resolve(LONDON)
    assert (answer.city, answer.country_code) == ("London", "GB")
    assert (answer.asn, answer.organization) == (5, "Five")
    assert answer.source == "City 1, ASN 1"
    assert answer.network == "81.2.69.0/24"


def test_chain__traits_and_details_are_those_of_all():
    first = {**CITY, "traits": ("anycast",), "details": Details.of({"ip_risk": 5})}
    more = {
        "traits": ("anonymous_vpn",),
        "details": Details.of({"ip_risk": 9, "days": 1}),
        "isp": "I",
    }
    fills = ["traits", "details"]
    chain = ChainProvider(
        [
            member("City", answers={LONDON: first}),
            member("VPN", fills=fills, answers={LONDON: {**more, "city": "Leeds"}}),
        ]
    )
    answer = chain.resolve(LONDON)
    assert answer.traits == ("anonymous_vpn", "anycast")
    assert answer.details == {"ip_risk": 5, "days": 1}
    assert (answer.city, answer.isp) == ("London", "")
    assert answer.field_sources == {
        "country_code": "City 1",
        "city": "City 1",
        "continent_code": "City 1",
        "traits": "City 1, VPN 1",
        "details": "City 1, VPN 1",
    }


def test_chain__three_sources_each_name_their_fields():
    chain = ChainProvider(
        [
            city(),
            member("ASN", fills=["asn"], answers={LONDON: {"asn": 5}}),
            member("ISP", fills=["isp", "user_type"], answers={LONDON: {"isp": "I"}}),
        ]
    )
    sources = chain.resolve(LONDON).field_sources
    assert [sources[name] for name in ("city", "asn", "isp")] == ["City 1", "ASN 1", "ISP 1"]


@pytest.mark.parametrize(
    ("fills", "known", "is_asked"),
    [
        (["traits"], {"traits": ("anycast",)}, True),
        (["details"], {}, True),
        (["is_in_european_union"], {}, False),
        (["continent_code"], {"continent_code": "EU"}, False),
        (["subdivisions"], {}, True),
        (["metro_code"], {"metro_code": 5}, False),
        (["latitude"], {"latitude": 0.0}, False),
    ],
)
def test_chain__one_is_asked_where_it_may_add_something(fills, known, is_asked):
    first = member("City", answers={LONDON: {**CITY, **known}})
    chain = ChainProvider([first, member("More", fills=fills)])
    chain.resolve(LONDON)
    assert bool(asked(chain)[1]) is is_asked


def test_chain__what_goes_with_a_country_is_not_put_beside_another():
    other = {"country_code": "US", "region_code": "US-CA", "metro_code": 807}
    fills = ["region_code", "metro_code"]
    chain = ChainProvider([city(), member("More", fills=fills, answers={LONDON: other})])
    answer = chain.resolve(LONDON)
    assert (answer.region_code, answer.metro_code, answer.source) == ("", None, "City 1")


def test_chain__one_that_fills_is_not_asked_where_there_is_no_gap():
    full = member("Full", answers={LONDON: CITY | OPERATOR})
    chain = ChainProvider([full, member("ASN", fills=["asn"])])
    chain.resolve(LONDON)
    assert asked(chain) == [[LONDON], []]


@pytest.mark.parametrize(
    ("first", "second", "network"),
    [
        (CITY, OPERATOR, "81.2.69.0/24"),
        (CITY, {**OPERATOR, "network": "81.2.69.128/25"}, "81.2.69.128/25"),
        (CITY, {**OPERATOR, "network": ""}, ""),
        ({**CITY, "network": ""}, OPERATOR, ""),
        # Nothing is filled, and beside the address something may be.
        (CITY, {"reason": NOT_FOUND, "network": "81.2.69.128/25"}, "81.2.69.128/25"),
        (CITY, {"reason": NOT_FOUND}, "81.2.69.0/24"),
        ({"reason": NOT_FOUND, "network": "81.2.69.128/25"}, OPERATOR, "81.2.69.128/25"),
        ({"reason": NOT_FOUND}, OPERATOR, "81.2.0.0/16"),
        ({"reason": NOT_FOUND, "network": "81.2.69.0/24"}, {"reason": NOT_FOUND}, ""),
    ],
)
def test_chain__an_answer_holds_only_where_those_of_all_that_gave_it_hold(first, second, network):
    chain = ChainProvider(
        [
            member("First", answers={LONDON: first}),
            member("Second", fills=["asn"], answers={LONDON: second}),
        ]
    )
    assert chain.resolve(LONDON).network == network


def test_chain__a_failing_provider_is_skipped_and_tried_again_later():
    chain = ChainProvider([city(is_failing=True), member("Next", answers={LONDON: {"asn": 5}})])
    first, _ = chain.members
    with capture_logs() as logs:
        assert chain.resolve(LONDON).source == "Next 1"
        first.is_failing = False
        assert chain.resolve(LONDON).source == "Next 1"
    assert [(entry["event"], entry["provider"]) for entry in logs] == [
        ("geo_provider_skipped", "DummyProvider")
    ]
    assert first.asked == []
    chain.links[0].breaker.reset()
    assert chain.resolve(LONDON).source == "City 1"


def test_chain__what_stands_in_for_one_that_failed_holds_for_the_address_only():
    chain = ChainProvider([member("Paid", is_failing=True), city()])
    assert chain.resolve(LONDON).network == ""


def test_chain__a_failure_is_not_the_answer_not_found():
    chain = ChainProvider([member("Paid", is_failing=True), city()])
    assert list(chain.resolve_many([LONDON, "9.9.9.9"])) == [LONDON]
    with pytest.raises(ProviderError):
        chain.resolve("9.9.9.9")


def test_chain__a_failure_to_fill_leaves_what_was_found():
    chain = ChainProvider([city(), member("ASN", fills=["asn"], is_failing=True)])
    assert chain.resolve(LONDON).city == "London"


def test_chain__its_build_changes_with_each_of_its_providers():
    def build(*versions):
        return ChainProvider([member("Any", version=version) for version in versions]).build()

    assert len({build("1", "1"), build("1", "2"), build("2", "1")}) == 3


class Absent(Provider):
    def build(self):
        raise ProviderError("no file")

    sources = resolve = build

    def check(self):
        return ["no file"]


ABSENT = {"BACKEND": f"{__name__}.Absent"}


def test_chain__one_without_its_database_does_not_stop_the_others():
    chain = ChainProvider([ABSENT, city()])
    assert chain.build().endswith("city-1")
    assert [source.name for source in chain.sources()] == ["City 1"]
    assert chain.check() == ["no file"]


def test_chain__without_any_database_cannot_answer():
    with pytest.raises(ProviderError):
        ChainProvider([ABSENT, ABSENT]).build()


def test_chain__is_metered_if_one_is():
    assert not ChainProvider([city(), city()]).is_metered
    assert ChainProvider([city(), city(is_metered=True)]).is_metered


@pytest.mark.parametrize(
    ("fills", "asked_address", "is_free"),
    [((), LONDON, True), (["asn"], LONDON, False), ((), "9.9.9.9", False)],
)
def test_chain__is_free_where_nobody_who_costs_could_add_to_it(fills, asked_address, is_free):
    chain = ChainProvider([city(), member("Paid", fills=fills, is_metered=True)])
    assert (asked_address in chain.resolve_free([asked_address])) is is_free
    assert chain.members[1].asked == []


def test_chain__names_networks_if_one_that_costs_does():
    nameless = {
        "BACKEND": "geocache.providers.http.json_service.HttpJsonProvider",
        "OPTIONS": {"preset": "ip-api"},
    }
    assert not ChainProvider([city(), nameless]).names_networks
    assert ChainProvider([nameless, city(is_metered=True)]).names_networks


def test_chain__nothing_is_free_behind_one_that_costs():
    chain = ChainProvider([member("Paid", is_metered=True), city()])
    assert chain.resolve_free([LONDON]) == {}
    assert asked(chain) == [[], []]


@pytest.mark.parametrize(
    "wrong", [[], [{}], [{"BACKEND": "no.such"}], [{**member("Any"), "FILLS": ["network"]}]]
)
def test_chain__a_wrong_set_up_is_told(wrong):
    with pytest.raises(ImproperlyConfigured):
        make({"BACKEND": "geocache.providers.chain.ChainProvider", "OPTIONS": {"providers": wrong}})


def test_chain__source_is_no_longer_than_the_table_takes():
    long = [member("x" * 150, answers={LONDON: CITY}), member("y" * 150, fills=["asn"])]
    long[1]["OPTIONS"]["answers"] = {LONDON: OPERATOR}
    chain = ChainProvider(long)
    source = chain.resolve(LONDON).source
    assert len(source) <= MAX_SOURCE_LENGTH
    assert not is_outdated(source, chain.sources())
    assert is_outdated(source, chain.members[0].sources())


@pytest.mark.parametrize("error", [TypeError("bug"), KeyError("bug")], ids=repr)
def test_chain__a_bug_of_one_leaves_what_those_before_it_have_answered(monkeypatch, error):
    chain = ChainProvider([city(is_metered=True), member("ASN", fills=["asn"]), member("Last")])

    def broken(_):
        raise error

    monkeypatch.setattr(chain.members[1], "resolve", broken)
    answers = {}
    with pytest.raises(type(error)):
        chain.resolve_into(answers, [LONDON, "9.9.9.9"])
    assert [(one, answer.city, answer.network) for one, answer in answers.items()] == [
        (LONDON, "London", "")
    ]


def test_chain__may_take_as_long_as_those_together_that_cost():
    chain = ChainProvider([member("Free"), member("A", is_metered=True), city(is_metered=True)])
    assert chain.time_limit_seconds(3) == 2 * chain.members[1].time_limit_seconds(3)


# --- in an event loop --------------------------------------------------------------------------


def resolved(chain, addresses, *, is_asynchronous):
    answers = {}
    if is_asynchronous:
        asyncio.run(chain.aresolve_into(answers, addresses))
    else:
        chain.resolve_into(answers, addresses)
    return {one: replace(answer, resolved_at=MOMENT) for one, answer in answers.items()}


def test_aresolve_into__merges_as_resolve_into_does():
    def chain():
        operator = {LONDON: OPERATOR, MOSCOW_V6: {"country_code": "RU"}}
        return ChainProvider(
            [
                member("Paid", is_metered=True, is_failing=True),
                city(),
                member("ASN", fills=["asn", "organization"], is_metered=True, answers=operator),
            ]
        )

    some, others = chain(), chain()
    addresses = [LONDON, MOSCOW_V6, "9.9.9.9"]
    answers = resolved(some, addresses, is_asynchronous=True)
    assert answers == resolved(others, addresses, is_asynchronous=False)
    assert sorted(answers) == sorted([LONDON, MOSCOW_V6])
    assert (answers[LONDON].city, answers[LONDON].asn) == ("London", 5)
    assert asked(some) == asked(others)
    assert {one.provider: one.asked_count for one in usages(some)} == {"Paid 1": 0, "ASN 1": 6}


def test_aresolve_into__one_that_has_failed_is_left_alone():
    chain = ChainProvider([city(is_failing=True), member("Next", answers={LONDON: {"asn": 5}})])
    resolved(chain, [LONDON], is_asynchronous=True)
    chain.members[0].is_failing = False
    assert resolved(chain, [LONDON], is_asynchronous=True)[LONDON].source == "Next 1"
    assert chain.members[0].asked == []


def test_aresolve_into__where_each_failed_that_is_told():
    with pytest.raises(ProviderError, match="each provider"):
        asyncio.run(ChainProvider([city(is_failing=True)]).aresolve_into({}, [LONDON]))


@pytest.mark.parametrize("error", [TypeError("bug"), asyncio.CancelledError()], ids=repr)
def test_aresolve_into__what_ends_it_leaves_what_was_answered_before(monkeypatch, error):
    chain = ChainProvider([city(is_metered=True), member("ASN", fills=["asn"]), member("Last")])

    async def broken(*_):
        raise error

    monkeypatch.setattr(chain.members[1], "aresolve_into", broken)
    answers = {}
    with pytest.raises(type(error)):
        asyncio.run(chain.aresolve_into(answers, [LONDON, "9.9.9.9"]))
    assert [(one, answer.city, answer.network) for one, answer in answers.items()] == [
        (LONDON, "London", "")
    ]


def test_aresolve_into__a_cancellation_is_no_failure_of_a_provider(monkeypatch):
    chain = ChainProvider([member("Slow")])

    async def wait(*_):
        await asyncio.Event().wait()

    async def ask_and_cancel():
        async with asyncio.timeout(0):
            await chain.aresolve_into({}, [LONDON])

    with monkeypatch.context() as patch:
        patch.setattr(chain.members[0], "aresolve_into", wait)
        with pytest.raises(TimeoutError):
            asyncio.run(ask_and_cancel())
    assert chain.resolve(LONDON).source == "Slow 1"


def test_aresolve_into__files_answer_and_a_service_fills_what_they_leave_open(tmp_path):
    addresses = [f"81.2.69.{n}" for n in range(40)]
    database = an_mmdb(tmp_path / "city.mmdb", {"81.2.69.0/24": CITY_RECORD})
    with serving() as service:
        service.by_path = {
            f"/{one}": Reply(body={"ip": one, "asn": n + 1}) for n, one in enumerate(addresses)
        }
        options = {
            "url": f"http://{service.host}/{{address}}",
            "fields": {"asn": "asn"},
            "address": "ip",
        }
        chain = ChainProvider(
            [
                {
                    "BACKEND": "geocache.providers.mmdb.MmdbProvider",
                    "OPTIONS": {"databases": [database]},
                },
                {
                    "BACKEND": "geocache.providers.http.json_service.HttpJsonProvider",
                    "OPTIONS": options,
                    "FILLS": ["asn"],
                },
            ]
        )
        answers = resolved(chain, addresses, is_asynchronous=True)
    assert [(answers[one].city, answers[one].asn) for one in addresses] == [
        ("Testville", n + 1) for n in range(40)
    ]
