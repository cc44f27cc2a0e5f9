"""The table of all settings in docs/settings.md is that of the code."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from geocache import conf
from geocache.runtime_settings.catalogue import ENTRIES, NOT_AT_RUN_TIME
from geocache.runtime_settings.kinds import Number

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
VARIABLES = settings.GEOCACHE["ENVIRONMENT_VARIABLES"]


def table() -> dict[str, list[str]]:
    text = PAGE.read_text().partition("\n| setting | default |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in text.splitlines()[2:]]
    return {row[0].strip("`"): row[1:] for row in rows}


def unit_of(name: str) -> str:
    entry = ENTRIES.get(name)
    units = {
        "seconds": "seconds",
        "hours": "hours",
        "days": "days",
        "bytes": "bytes",
        "bits": "bits",
    }
    return units.get(entry.kind.unit, "") if entry and isinstance(entry.kind, Number) else ""


def row_of(name: str) -> list[str]:
    default: Any = conf.DEFAULTS[name]
    # A class of this app by its last name: the row has to fit.
    shown = default.get("BACKEND", default) if isinstance(default, dict) else default
    variable = f"`{VARIABLES[name]}`" if name in VARIABLES else ""
    at_run_time = "yes" if name in ENTRIES else f"no: {NOT_AT_RUN_TIME[name]}"
    return [f"`{shown!r}`", unit_of(name), variable, at_run_time]


def test_table__has_all_settings_in_their_order() -> None:
    assert list(table()) == list(conf.DEFAULTS)


@pytest.mark.parametrize("name", conf.DEFAULTS)
def test_table__row_is_that_of_the_code(name: str) -> None:
    assert table()[name] == row_of(name)
