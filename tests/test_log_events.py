"""The events that the code logs are those of the catalogue, and those of docs/log-events.md."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from geocache.jobs import JOBS
from geocache.log_events import EVENTS, HELP, JOB_ANCHORS, KEYS, page_of
from tests.log_events_page import PAGE, written

pytestmark = [pytest.mark.any_django, pytest.mark.any_services]
ROOT = Path(__file__).resolve().parent.parent
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
# Others would log as well, and are not looked for.
OTHER_METHODS = {"bind", "new", "unbind", "warn", "fatal", "log", "adebug", "ainfo", "awarning"}
OF_LOGGING = {"exc_info", "stack_info"}


@dataclass(frozen=True)
class Call:
    place: str
    level: str
    name: str | None
    keys: tuple[str | None, ...]


def calls_in(source: str, place: str = "example") -> Iterator[Call]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if not isinstance(node.func.value, ast.Name) or node.func.value.id != "log":
            continue
        assert node.func.attr not in OTHER_METHODS, f"{place}:{node.lineno}: {node.func.attr}"
        if node.func.attr in LEVELS:
            (event,) = node.args
            name = event.value if isinstance(event, ast.Constant) else None
            keys = tuple(one.arg for one in node.keywords if one.arg not in OF_LOGGING)
            yield Call(f"{place}:{node.lineno}", node.func.attr, name, keys)


CALLS = [
    call
    for path in sorted((ROOT / "geocache").rglob("*.py"))
    for call in calls_in(path.read_text(), path.relative_to(ROOT).as_posix())
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.name} {call.place}")
def test_log_call__is_in_the_catalogue_with_its_level_and_all_its_keys(call: Call) -> None:
    assert call.name in EVENTS, "name the event in geocache/log_events.py"
    event = EVENTS[call.name]
    assert call.level == event.level
    # Also in their order, which is that of the line.
    assert call.keys == event.keys


def test_log_call__is_found_whatever_it_is() -> None:
    found = list(
        calls_in('log.error(f"{x}_failed", **values)\nlog.info("geo_a", b=1, exc_info=True)')
    )
    assert [(one.name, one.keys) for one in found] == [(None, (None,)), ("geo_a", ("b",))]


@pytest.mark.parametrize("source", ['log.bind(a=1).info("geo_a")', 'log.warn("geo_a")'])
def test_log_call__of_another_kind_is_refused(source: str) -> None:
    with pytest.raises(AssertionError):
        list(calls_in(source))


def test_loggers__have_one_name_and_one_maker() -> None:
    for path in (ROOT / "geocache").rglob("*.py"):
        text = path.read_text()
        place = path.relative_to(ROOT).as_posix()
        if place != "geocache/log.py":
            assert "getLogger" not in text.replace('logging.getLogger("geocache', ""), place
            assert text.count("get_logger(") == text.count("log = get_logger(__name__)"), place


def test_catalogue__has_no_event_that_is_never_logged() -> None:
    assert EVENTS.keys() == {call.name for call in CALLS}


def test_catalogue__is_in_order_and_explains_each_key() -> None:
    assert list(EVENTS) == sorted(EVENTS)
    assert list(KEYS) == sorted(KEYS)
    assert KEYS.keys() == {key for event in EVENTS.values() for key in event.keys}
    assert HELP not in KEYS


@pytest.mark.parametrize("name", EVENTS)
def test_event__has_a_page_if_it_has_to_be_acted_on(name: str) -> None:
    assert bool(EVENTS[name].anchor) == (EVENTS[name].level in ("warning", "error"))


def test_page_of__a_job_that_failed_is_that_of_its_trouble() -> None:
    assert page_of("geo_job_failed", "geo_bans") == "docs/troubleshooting.md#bans-failed"
    assert page_of("geo_job_failed", "geo_prune") == "docs/troubleshooting.md#job-failed"
    assert page_of("geo_job_run_not_recorded", "geo_bans").endswith("#not-recorded")
    assert page_of("geo_job_scheduled", "geo_bans") == ""
    assert page_of("an_event_of_a_host") == ""
    assert JOB_ANCHORS.keys() <= {job.id for job in JOBS}


def test_document__is_made_of_the_catalogue() -> None:
    assert PAGE.read_text() == written(), "run: uv run python -m tests.log_events_page"
