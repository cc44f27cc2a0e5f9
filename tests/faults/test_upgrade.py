import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.conftest import require
from tests.faults import releases
from tests.faults.upgrade import Report
from tests.support import programs
from tests.support.processes import ROOT, environment


def require_history(folder: Path) -> Path:
    try:
        return releases.export_previous(folder)
    except releases.NoHistory as error:
        require(False, f"previous release to upgrade from: {error}")
        raise


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.faults.upgrade", "--json", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.any_services
@pytest.mark.slow
def test_upgrade__under_load_loses_nothing_and_refuses_nobody(tmp_path: Path) -> None:
    require_history(tmp_path)

    # The pairs with servers take as long again, and are tried by the harness before a release.
    code, report = run("--pair", "embedded-sqlite", "--minutes", "0")

    found = report["verdict"]
    bad = ("lost", "outdated", "duplicated", "rejected", "pending", "left_over")
    assert {key: found[key] for key in bad} == dict.fromkeys(bad, 0), report
    assert report["errors"] == [], report
    assert report["changed"] == []
    # A model of the old release that cannot be written in the new tables: give its columns a
    # db_default, and remove columns one release later.
    assert report["model_problems"] == {}
    assert report["unavailable"] == 0
    assert found["acknowledged"] > 500
    assert min(report["requests"].values()) > 40
    assert len(report["requests"]) == 2
    assert report["kills"]["scheduler"] > 0
    assert code == 0


GOOD = Report(
    pair="",
    seed=0,
    seconds=0,
    steps=[],
    is_rolled_back=True,
    requests={},
    errors=[],
    unavailable=0,
    slowest_seconds=0,
    changed=[],
    model_problems={},
    kills={},
    notes={},
    verdict={
        "acknowledged": 1,
        **dict.fromkeys(("lost", "outdated", "duplicated", "rejected", "pending", "left_over"), 0),
    },
)


@pytest.mark.parametrize(
    "bad",
    [
        {"errors": ["ConnectionRefusedError"]},
        {"unavailable": 1},
        {"changed": ["20.0.0.1"]},
        {"model_problems": {"GeoCache": "IntegrityError"}},
        *({"verdict": GOOD.verdict | {name: 1}} for name in GOOD.verdict if name != "acknowledged"),
        {"verdict": GOOD.verdict | {"acknowledged": 0}},
    ],
)
def test_report__is_good_only_without_any_loss(bad: dict[str, Any]) -> None:
    assert GOOD.is_good()
    assert not replace(GOOD, **bad).is_good()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_inserts__name_a_model_that_does_not_fit_the_tables(tmp_path: Path) -> None:
    def problems() -> dict[str, str]:
        with programs.programs(tmp_path, environment()) as running:
            said: dict[str, str] = json.loads(running.run(ROOT, "-m", "served_inserts"))
            return {name: text for name, text in said.items() if text}

    assert problems() == {}

    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE geocache_rejectedentry RENAME COLUMN error TO reason")
    try:
        assert list(problems()) == ["RejectedEntry"]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE geocache_rejectedentry RENAME COLUMN reason TO error")


def test_previous__is_the_release_before_the_newest_section_of_the_changelog() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert releases.PREVIOUS[0] == f"v{headings[1]}"


def test_export__says_what_a_shallow_clone_lacks(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(releases, "PREVIOUS", ("v0.0.0", "0000000"))

    with pytest.raises(releases.NoHistory, match="0000000 in this clone: fetch"):
        releases.export_previous(tmp_path)
