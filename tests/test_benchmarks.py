"""How benchmarks hold a ratio, and how they write what they have measured."""

import json
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from tests.benchmarks import peers, ratios, results
from tests.benchmarks.measure import QUICK, Answer, Bar, Effort, Figure
from tests.benchmarks.ratios import Ratio
from tests.benchmarks.visitors import Visitors

pytestmark = [pytest.mark.any_django, pytest.mark.any_services]

ALL = ["hot_entry", "flush"]
COST, SPEED = "hot_entry: of what a get costs", "flush: as fast as the driver"
STORED = {COST: Ratio(2.0, 0.4, is_more_better=False), SPEED: Ratio(0.8, 0.1, is_more_better=True)}


def runs(*given: dict[str, float]) -> tuple[Callable[[Collection[str]], dict[str, Bar]], list]:
    """Return a way to measure which gives one dict a call, and the questions of each call."""
    left, asked = iter(given), []

    def measure(questions: Collection[str]) -> dict[str, Bar]:
        asked.append(list(questions))
        return {
            name: Bar(name, [ratio], **{"at_least" if name == SPEED else "at_most": 1})
            for name, ratio in next(left).items()
        }

    return measure, asked


def failed(findings: list[ratios.Finding]) -> list[str]:
    return [str(finding) for finding in findings if finding.has_failed]


def test_compare__passes_what_is_within_its_spread_and_measures_once() -> None:
    measure, asked = runs({COST: 2.39, SPEED: 0.71})
    findings = ratios.compare(STORED, ALL, measure)
    assert (failed(findings), asked) == ([], [ALL])
    assert str(findings[0]) == f"holds  {COST}: measured 2.39 x, stored 2.00 x + 0.40"


def test_compare__passes_what_is_better() -> None:
    measure, _ = runs({COST: 0.1, SPEED: 9.0})
    assert failed(ratios.compare(STORED, ALL, measure)) == []


@pytest.mark.parametrize(("name", "bad"), [(COST, 2.5), (SPEED, 0.6)])
def test_compare__fails_what_is_worse_three_times(name: str, bad: float) -> None:
    worse = {COST: 2.0, SPEED: 0.8} | {name: bad}
    measure, asked = runs(worse, {name: bad}, {name: bad})
    (line,) = failed(ratios.compare(STORED, ALL, measure))
    question = name.partition(":")[0]
    assert asked == [ALL, [question], [question]]
    assert line.startswith(f"FAILED {name}: measured {bad:.2f}, {bad:.2f}, {bad:.2f} x, stored ")
    assert line.endswith("python -m tests.benchmarks.compare --store")
    assert "\n" not in line


def test_compare__passes_a_noisy_one_that_comes_back() -> None:
    measure, asked = runs({COST: 9.0, SPEED: 0.8}, {COST: 9.0}, {COST: 2.1})
    assert failed(ratios.compare(STORED, ALL, measure)) == []
    assert len(asked) == 3


def test_compare__says_what_is_stored_and_no_longer_measured() -> None:
    measure, _ = runs({COST: 2.0})
    (line,) = failed(ratios.compare(STORED, ALL, measure))
    assert line.startswith(f"FAILED {SPEED}: stored, but no longer measured; store what is: ")


def test_compare__says_what_is_measured_and_not_stored() -> None:
    measure, _ = runs({COST: 2.0, SPEED: 0.8})
    (line,) = failed(ratios.compare({SPEED: STORED[SPEED]}, ALL, measure))
    assert line.startswith(f"FAILED {COST}: measured, but not stored; store it: ")


def test_compare__leaves_out_what_cannot_be_held() -> None:
    measure, asked = runs({COST: 99.0})
    unsteady = {COST: Ratio(2.0, 1.1, is_more_better=False)}
    (finding,) = ratios.compare(unsteady, ["hot_entry"], measure)
    assert (finding.has_failed, asked) == (False, [["hot_entry"]])
    assert str(finding).endswith("+ 1.10, more than half of it: left out")


def test_summarise__takes_the_median_and_twice_what_the_worst_run_was_worse() -> None:
    measure, _ = runs(*({COST: cost, SPEED: 1.0} for cost in (2.0, 2.1, 2.5)))
    stored = ratios.summarise([measure(ALL) for _ in range(3)])
    # One that does not vary is given a quarter.
    assert stored == {COST: Ratio(2.1, 0.8, False), SPEED: Ratio(1.0, 0.25, True)}


def test_of_questions__leaves_out_the_others() -> None:
    assert ratios.of_questions(["flush"], STORED) == {SPEED: STORED[SPEED]}


def test_write__keeps_the_ratios_of_other_services(tmp_path: Path) -> None:
    path = tmp_path / "ratios.json"
    assert ratios.read(path, "SQLite, EmbeddedCache") == {}
    ratios.write(path, "SQLite, EmbeddedCache", STORED)
    ratios.write(path, "PostgreSQL, RedisCache", {})
    assert ratios.read(path, "SQLite, EmbeddedCache") == STORED
    assert ratios.read(path, "PostgreSQL, RedisCache") == {}


@pytest.mark.django_db
def test_results__have_a_schema_and_say_where_they_are_from() -> None:
    answer = Answer("A question", [Figure("a way", [1.0, 2.0])], [Bar("a cost", [2.0], at_most=1)])
    plain = json.loads(json.dumps(results.to_plain(QUICK, {"hot_entry": [answer]})))
    assert list(plain) == [
        "schema", "measured_at", "revision", "machine", "versions", "services", "effort", "answers",
    ]  # fmt: skip
    assert (plain["schema"], plain["effort"]["share"]) == (results.SCHEMA, 0)
    assert set(plain["machine"]) == {"processor", "cores", "memory_bytes", "load", "system"}
    assert set(plain["services"]) == {"database", "cache"}
    (written,) = plain["answers"]
    assert (written["name"], written["figures"][0]["median"]) == ("hot_entry", 1.5)
    assert written["bars"][0]["is_met"] is False


def test_bar__without_a_limit_has_no_verdict() -> None:
    assert "met" not in str(Bar("a ratio", [1.0])).lower()
    assert str(Bar("a ratio", [1.0], at_most=0.5)).endswith("at most 0.50 x: MISSED")


def test_effort__quick_does_the_least_that_runs() -> None:
    assert (QUICK.is_quick, QUICK.scaled(1_000, 5)) == (True, 5)
    assert Effort(1, 1, 1, share=0.1).scaled(1_000, 5) == 100


def test_visitors__are_the_same_each_time_and_never_return() -> None:
    one, other = Visitors(), Visitors()
    first, second = one.requests(2_000), one.requests(2_000)
    assert first == other.requests(2_000)
    assert not set(first) & set(second)
    assert 300 < len(set(first)) < 1_500
    assert any(":" in address for address in first)


def test_open_readers__leaves_out_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "geoip2fast", None)
    monkeypatch.setitem(sys.modules, "maxminddb_rust", None)
    readers, left_out = peers.open_readers()
    assert list(readers) == [
        "geoip2 Reader.city()", "Django's GeoIP2().city()", "maxminddb Reader.get(), in C",
    ]  # fmt: skip
    absent = "; without {}, which is not installed"
    assert left_out == absent.format("maxminddb_rust") + absent.format("geoip2fast")
    assert all(read("81.2.69.142") for read in readers.values())


@pytest.mark.parametrize(
    "text", ["", "{not json", "[1, 2]", '{"pairs": {}}', '{"schema": 0}', '{"schema": 1}', "\x00",
             '{"schema": 1, "pairs": {"a": {"start: x": "fast"}}}']
)  # fmt: skip
def test_read__says_what_to_do_about_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ratios.json"
    path.write_text(text)
    with pytest.raises(SystemExit, match="remove it and store new ones"):
        ratios.read(path, "a")
