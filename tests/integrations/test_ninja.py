import builtins
import importlib
import json
import sys

import pytest
from django.urls import path

from geocache.api import fields
from geocache.exceptions import MissingExtra
from geocache.location import Details, LocationDict, Subdivision, SubdivisionDict
from tests.factories import LONDON, a_location, a_row

ninja = pytest.importorskip("ninja", reason="no Django Ninja")

from geocache.integrations.ninja import LocationSchema, SubdivisionSchema  # noqa: E402 - as above

FULL = a_location(
    latitude=51.5,
    asn=64500,
    subdivisions=(Subdivision("GB-ENG", "England"), Subdivision("GB-WBK", "West Berkshire")),
    traits=("anonymous_vpn", "hosting_provider"),
    details=Details({"confidence": 7, "risk": 0.5, "is_static": True, "name": "x", "seen": None}),
)
api = ninja.NinjaAPI(urls_namespace="tests_ninja")


@api.get("/here", response=LocationSchema)
def here(request):  # noqa: ARG001 - the name that Ninja wants
    return FULL


@api.get("/row", response=LocationSchema)
def row(request):  # noqa: ARG001 - the name that Ninja wants
    return a_row()


@api.get("/several", response=list[LocationSchema])
def several(request):  # noqa: ARG001 - the name that Ninja wants
    return [FULL, FULL.to_plain()]


urlpatterns = [path("ninja/", api.urls)]
pytestmark = pytest.mark.urls("tests.integrations.test_ninja")


def test_schema__has_the_fields_of_to_plain():
    assert list(LocationSchema.model_fields) == list(FULL.to_plain())
    assert set(LocationSchema.model_fields) == set(LocationDict.__annotations__)
    assert set(SubdivisionSchema.model_fields) == set(SubdivisionDict.__annotations__)


def test_schema__has_what_each_field_means():
    for name, field in LocationSchema.model_fields.items():
        assert field.description == fields.LOCATION[name].meaning


def test_schema__of_an_answer_is_what_to_plain_returns(client):
    assert LocationSchema.model_validate(FULL).model_dump() == FULL.to_plain()
    assert client.get("/ninja/here").json() == json.loads(json.dumps(FULL.to_plain()))
    assert client.get("/ninja/several").json() == [FULL.to_plain()] * 2


def test_schema__keeps_the_types_of_details():
    details = LocationSchema.model_validate(FULL).model_dump()["details"]
    assert {name: type(value) for name, value in details.items()} == {
        "confidence": int,
        "risk": float,
        "is_static": bool,
        "name": str,
        "seen": type(None),
    }


@pytest.mark.django_db
def test_schema__of_a_row(client):
    assert client.get("/ninja/row").json()["address"] == LONDON


def test_schema__is_in_the_description_of_that_api(client):
    schemas = client.get("/ninja/openapi.json").json()["components"]["schemas"]
    assert set(schemas["LocationSchema"]["properties"]) == set(FULL.to_plain())
    assert "SubdivisionSchema" in schemas


def test_module__names_its_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *given, **named):
        if name.partition(".")[0] == "ninja":
            raise ModuleNotFoundError(name=name)
        return real(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "geocache.integrations.ninja")
    with pytest.raises(MissingExtra, match='with the extra "ninja"'):
        importlib.import_module("geocache.integrations.ninja")
