from datetime import timedelta, timezone
from ipaddress import ip_address
from typing import Any

import pytest

from geocache.location import Location
from geocache.lookup.explain import Provenance
from geocache.lookup.plan import Plan, Tier
from geocache.management.explain_output import rows
from geocache.models import GeoCache
from geocache.providers.quota import Usage
from tests.factories import LONDON, NOON, a_location


def told(address: str = LONDON, **fields: Any) -> dict[str, str]:
    return dict(rows(ip_address(address), Provenance(**fields), NOON + timedelta(hours=1)))


def test_rows__of_an_answer() -> None:
    hot = a_location(asn=64500, organization="Test Networks")
    table = told(plan=Plan(tier=Tier.HOT_ENTRY), hot_entry=hot, pending=hot, build="b", key="k")
    assert table["Answer"] == "London, GB, AS64500 Test Networks"
    assert table["Network"] == "81.2.69.0/24"
    assert table["Age"] == "1:00:00 (h:mm:ss), resolved 2026-01-02 12:00:00 UTC"
    kept = ["the cache, as a hot entry", "the journal: it waits for the next flush"]
    assert table["Kept in"].splitlines() == kept
    assert (table["Build in use"], table["Cache key"]) == ("b", "k")


def test_rows__of_an_answer_with_traits_from_several_sources() -> None:
    given_by = {"country_code": "City 2026-01-02", "traits": "VPNs 2026-01-01"}
    answer = a_location(
        source="City 2026-01-02, VPNs 2026-01-01", traits=("anonymous_vpn", "hosting_provider")
    )
    answer = Location.from_plain(answer.to_plain() | {"field_sources": given_by})
    table = told(plan=Plan(tier=Tier.HOT_ENTRY), hot_entry=answer)
    assert table["Traits"] == "anonymous_vpn, hosting_provider"
    assert table["Fields from"].splitlines() == [
        "City 2026-01-02: country_code",
        "VPNs 2026-01-01: traits",
    ]


def test_rows__without_traits_and_with_one_source() -> None:
    table = told(plan=Plan(tier=Tier.HOT_ENTRY), hot_entry=a_location())
    assert not {"Traits", "Fields from"} & set(table)


def test_rows__moment_of_another_zone_is_shown_in_utc() -> None:
    resolved_at = NOON.astimezone(timezone(timedelta(hours=-5)))
    table = told(plan=Plan(tier=Tier.HOT_ENTRY), hot_entry=a_location(resolved_at=resolved_at))
    assert table["Age"] == "1:00:00 (h:mm:ss), resolved 2026-01-02 12:00:00 UTC"


def test_rows__of_a_special_address() -> None:
    table = told("10.0.0.1", plan=Plan(tier=Tier.SPECIAL))
    assert table["Answer"] == "none: such an address (private) belongs to no place"


def test_rows__of_an_empty_answer() -> None:
    empty = a_location(reason="not_found", network="", source="")
    table = told(plan=Plan(tier=Tier.HOT_ENTRY), hot_entry=empty)
    assert table["Answer"] == "nothing known: not_found"
    assert (table["Network"], table["Source"]) == ("none was named with it", "not known")


FAILING = "the file is gone"


@pytest.mark.parametrize(
    ("plan", "way", "cost"),
    [
        (Plan(tier=Tier.HOT_ENTRY), "is answered by the hot entry", "nothing"),
        (Plan(tier=Tier.ROW), "is answered by its row in the table", "nothing"),
        (
            Plan(tier=Tier.ROW, failure=FAILING),
            "is answered by its old row: nobody can be asked",
            "nothing",
        ),
        (
            Plan(tier=Tier.NETWORK, near=a_location()),
            "is answered by what is known of 81.2.69.0/24: London, GB",
            "nothing, because 81.2.69.0/24 is known",
        ),
        (Plan(tier=Tier.PROVIDER), "asks the provider", "nothing"),
        (
            Plan(tier=Tier.PROVIDER, usage=Usage(provider="X", asked_count=1, limit=1001)),
            "asks X",
            "one query of X, of which 1,000 are left today",
        ),
        (
            Plan(tier=Tier.PROVIDER, usage=Usage(provider="X", asked_count=1)),
            "asks X",
            "one query of X, which has no limit a day",
        ),
        (Plan(tier=Tier.NONE, failure=FAILING), f"is not answered: {FAILING}", "nothing"),
    ],
)
def test_rows__what_a_look_up_does_and_costs(plan: Plan, way: str, cost: str) -> None:
    table = told(plan=plan)
    assert (table["A look-up now"], table["It costs"]) == (way, cost)


def test_rows__why_it_is_stale() -> None:
    row = GeoCache(address=LONDON, resolved_at=NOON - timedelta(days=100), source="Old 1")
    table = told(plan=Plan(tier=Tier.ROW, failure=FAILING), row=row, build="b")
    assert table["Stale"].splitlines() == [
        "it is of a build that is not in use any more",
        "it is older than its time to live",
        f"no newer one can be had: {FAILING}",
    ]
