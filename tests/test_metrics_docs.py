"""docs/metrics.md and docs/monitoring/: what they name is there, and Prometheus takes it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from geocache.lookup import lookup
from geocache.metrics.collector import GeocacheCollector
from geocache.models import JobRun
from tests.conftest import require
from tests.factories import LONDON, NOON, use_dummy_provider
from tests.support.processes import ROOT

DOCS = ROOT / "docs"
PAGE = (DOCS / "metrics.md").read_text()
FILES = DOCS / "monitoring"
ALERTS = yaml.safe_load((FILES / "alerts.yml").read_text())["groups"][0]["rules"]
TESTS = yaml.safe_load((FILES / "alerts_test.yml").read_text())["tests"]
DASHBOARD = json.loads((FILES / "grafana-dashboard.json").read_text())
# What Grafana fills in.
VARIABLES = {"$__rate_interval": "5m", "$job": ".*"}
# By the type of a family, what Prometheus adds to its name.
SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
}
pytestmark = [pytest.mark.any_django, pytest.mark.any_services]


def families() -> dict[str, str]:
    """Return the types of all that the collector gives, by name."""
    return {one.name: one.type for one in GeocacheCollector().describe()}


def samples() -> set[str]:
    """Return the names as Prometheus knows them."""
    return {
        name + suffix for name, kind in families().items() for suffix in SUFFIXES.get(kind, ("",))
    }


def panels() -> Iterator[dict[str, Any]]:
    yield from (one for one in DASHBOARD["panels"] if one["type"] != "row")


def dashboard_expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def promtool(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    require(program is not None, "promtool")
    assert program is not None
    return subprocess.run(
        [program, *arguments], input=text, capture_output=True, text=True, check=False, timeout=60
    )


def names_in(expression: str) -> set[str]:
    """Return the metrics that an expression reads, and the labels that are no label of one."""
    without_labels = re.sub(r'(?:[\w]+)(?:=~|!~|!=|=)"[^"]*"', "", expression)
    return set(re.findall(r"geocache_\w+", without_labels))


@pytest.mark.parametrize("expression", [*(one["expr"] for one in ALERTS), *dashboard_expressions()])
def test_expression__reads_metrics_that_exist(expression: str) -> None:
    names = names_in(expression)
    assert names
    assert names <= samples()


def test_table__has_a_row_for_each_metric() -> None:
    rows = re.findall(r"^\| `(geocache_\w+)` \| (\w+) \| (.*?) \|", PAGE, re.MULTILINE)
    described = {
        (f"{name}_total" if kind == "counter" else name, kind) for name, kind in families().items()
    }
    assert {(name, kind) for name, kind, _ in rows} == described
    assert len(rows) == len(described)


def test_table__names_the_labels() -> None:
    rows = re.findall(r"^\| `(geocache_\w+)` \| (\w+) \| (.*?) \|", PAGE, re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, _, labels in rows}
    for one in GeocacheCollector().describe():
        name = f"{one.name}_total" if one.type == "counter" else one.name
        labels = set(getattr(one, "_labelnames", ()))
        if one.type == "info":
            labels = set(one.samples[0].labels)
        assert documented[name] == labels, name


def test_page__names_each_tier() -> None:
    from geocache import counters  # noqa: PLC0415 - for this test alone

    table = PAGE.partition("| tier | answered by |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) == set(counters.TIERS)


def test_alerts__each_says_how_bad_it_is_and_what_to_do() -> None:
    for one in ALERTS:
        assert one["labels"]["severity"] in ("warning", "critical"), one["alert"]
        assert one["annotations"].keys() == {"summary", "description", "help"}, one["alert"]
        assert one["alert"].startswith("Geocache")


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: one["alert"])
def test_alerts__name_a_section_that_exists(alert: dict[str, Any]) -> None:
    page, _, anchor = alert["annotations"]["help"].partition("#")
    require((ROOT / page).exists(), page)
    headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
    assert not anchor or anchor in anchors


def test_alerts__each_has_a_test() -> None:
    assert {one["alert"] for one in ALERTS} == {
        one["name"] for one in TESTS if one["name"].startswith("Geocache")
    }


def test_alerts__promtool_takes_them() -> None:
    done = promtool("check", "rules", FILES / "alerts.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_alerts__fire_when_they_should_and_not_before() -> None:
    done = promtool("test", "rules", FILES / "alerts_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboard__each_expression_can_be_read(tmp_path: Path) -> None:
    rules = []
    for number, expression in enumerate(dashboard_expressions()):
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)  # noqa: PLW2901 - filled in
        assert "$" not in expression
        rules.append({"record": f"dashboard:{number}", "expr": expression})
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboard__each_panel_has_a_unit_thresholds_and_the_data_source_that_is_chosen() -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    for one in panels():
        defaults = one["fieldConfig"]["defaults"]
        assert defaults["unit"], one["title"]
        assert defaults["thresholds"]["steps"], one["title"]
        assert one["datasource"] == source
        assert all(target["datasource"] == source for target in one["targets"])
        assert one["gridPos"]["x"] + one["gridPos"]["w"] <= 24
    rows = [one["title"] for one in DASHBOARD["panels"] if one["type"] == "row"]
    assert rows == ["Health", "Answers", "Journal", "Provider", "Lists, bans and jobs"]
    assert len({one["id"] for one in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.django_db
def test_scrape__promtool_finds_nothing_to_improve(settings: Any) -> None:
    use_dummy_provider(settings, is_metered=True, queries_per_day=10)
    lookup(LONDON)
    JobRun.objects.create(
        job="geo_prune", started_at=NOON, finished_at=NOON, status="done", seconds=1
    )
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GeocacheCollector())
    done = promtool("check", "metrics", text=generate_latest(registry).decode())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout + done.stderr == ""
