"""The commands of docs/api.md, run as they stand there, and the answers beside them."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from geocache.location import Location
from tests.api import test_views
from tests.conftest import require
from tests.factories import LONDON, NOON, a_row, a_token, a_viewer, use_dummy_provider

PAGE = (Path(__file__).resolve().parent.parent / "docs/api.md").read_text()
COMMANDS = re.findall(r"^\$ (curl .*)$", PAGE, re.MULTILINE)
ANSWERS = [
    json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
]
KNOWN = {
    name: value
    for name, value in ANSWERS[0].items()
    if name in Location.__struct_fields__
    and name not in ("address", "resolved_at", "source", "reason", "subdivisions", "details")
} | {"traits": tuple(ANSWERS[0]["traits"])}


def test_page__names_every_code():
    tested = re.findall(r'\d{3}, "(\w+)"', Path(test_views.__file__).read_text())
    table = re.findall(r"`(\w+)`", PAGE.partition("## Errors")[2].partition("## How often")[0])
    assert set(tested) <= set(table)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_page__commands_give_the_answers_beside_them(live_server, settings):
    require(shutil.which("curl") is not None, "curl")
    use_dummy_provider(settings, answers={LONDON: KNOWN})
    token = a_token(a_viewer())
    variables = {"GEOCACHE": live_server.url, "TOKEN": token, "PATH": "/usr/bin:/bin"}
    given = [
        json.loads(
            subprocess.run(
                command,
                shell=True,
                executable="/bin/bash",
                env=variables,
                capture_output=True,
                check=True,
                timeout=30,
            ).stdout
        )
        for command in COMMANDS
    ]
    one, many, text, error = given
    assert one | {"resolved_at": NOON.isoformat()} == ANSWERS[0]
    shown, refused = ANSWERS[1]["results"]
    assert shown.items() <= many["results"][0].items()
    assert many["results"][1:] == [refused]
    (found,) = ANSWERS[2].pop("results")
    assert found.items() <= text.pop("results")[0].items()
    assert text == ANSWERS[2]
    assert error == ANSWERS[3]


@pytest.mark.django_db
def test_page__serializers_and_schemas(override_locations):
    serializers, schemas = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    override_locations({LONDON: {"country_code": "GB", "city": "London"}})
    names: dict[str, Any] = {}
    exec(serializers, names)
    place = {"country_code": "GB", "city": "London"}
    logins = names["LoginSerializer"]([{"ip": LONDON}, {"ip": None}], many=True).data
    assert [one["place"] for one in logins] == [place, None]
    row = a_row()
    assert names["RowSerializer"](row).data["location"] == row.to_location().to_plain()
    exec(schemas, names)
    request = SimpleNamespace(geo=row.to_location())
    answer = names["LocationSchema"].model_validate(names["here"](request))
    assert answer.model_dump() == row.to_location().to_plain()
