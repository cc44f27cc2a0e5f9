from datetime import timedelta

import pytest

from geocache.health.findings import find
from geocache.providers.base import Source
from geocache.status import Status
from tests.factories import NOON

pytestmark = pytest.mark.any_services


def told(name: str, days: float, **fields: object) -> list[tuple[str, str]]:
    built_at = NOON - timedelta(days=days)
    source = Source(name=name, built_at=built_at, **fields)  # type: ignore[arg-type] - of a test
    findings = find(Status(sources=(source,)), NOON)
    return [
        (one.level, one.page) for one in findings if one.part == "licence" and one.subject == name
    ]


PAGE = "docs/troubleshooting.md#licence-outdated"


@pytest.mark.parametrize(
    ("name", "days", "levels"),
    [
        ("GeoLite2-City", 24, []),
        ("GeoLite2-City", 25, ["warning"]),
        ("GeoLite2-City", 30, ["critical"]),
        ("GeoIP2-City", 30, ["warning"]),
        ("DBIP-City-Lite", 300, []),
    ],
)
def test_judge_licences__by_licence_and_age(name: str, days: int, levels: list[str]) -> None:
    assert told(name, days) == [(level, PAGE) for level in levels]


def test_judge_licences__sample_of_2019_is_under_another_licence() -> None:
    assert told("GeoLite2-City", 2300, is_fallback=True) == []


def test_judge_licences__says_what_and_what_to_do() -> None:
    source = Source(name="GeoLite2-City", built_at=NOON - timedelta(days=31))
    (finding,) = [one for one in find(Status(sources=(source,)), NOON) if one.part == "licence"]
    assert finding.text == (
        "GeoLite2-City 2025-12-02: The GeoLite EULA does not allow its use for longer than 30 "
        "days. Replace it with a newer one."
    )
