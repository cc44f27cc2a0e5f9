import builtins
import importlib
import sys
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from geocache.exceptions import MissingExtra
from geocache.lookup import tiers
from tests.factories import LONDON, a_location, a_row
from tests.visits.models import Visit

serializers = pytest.importorskip("rest_framework.serializers", reason="no Django REST framework")

from geocache.integrations import rest_framework  # noqa: E402 - may be absent
from geocache.integrations.rest_framework import IPLocationField, LocationField  # noqa: E402

SHOWN = ["country_code", "city"]


class Shown(serializers.Serializer):
    place = IPLocationField(source="ip", fields=SHOWN)


@pytest.fixture(autouse=True)
def places(override_locations):
    return override_locations({LONDON: {"country_code": "GB", "city": "London"}})


@pytest.fixture
def batches(monkeypatch):
    """The addresses of each look-up."""
    found = []
    locate = tiers.locate_texts
    monkeypatch.setattr(
        tiers, "locate_texts", lambda asked: found.append(sorted(asked)) or locate(asked)
    )
    return found


def shown(field, **attributes):
    kind = type("Shown", (serializers.Serializer,), {"place": field})
    return kind(SimpleNamespace(**attributes)).data["place"]


# --- an answer that is there -----------------------------------------------------------------


def test_location_field__shows_what_to_plain_does():
    assert shown(LocationField(), place=a_location()) == a_location().to_plain()


@pytest.mark.django_db
def test_location_field__shows_a_row_and_what_a_method_returns():
    row = a_row()
    expected = {"country_code": "GB", "city": "London"}
    assert shown(LocationField(fields=SHOWN), place=row) == expected
    assert shown(LocationField(fields=SHOWN), place=row.to_location) == expected


def test_location_field__none_is_null():
    assert shown(LocationField(), place=None) is None


def test_location_field__fields_are_in_their_order():
    assert list(shown(LocationField(fields=["city", "asn"]), place=a_location())) == ["city", "asn"]


@pytest.mark.parametrize("fields", [["country"], "city", ["city", "credit"]])
def test_location_field__unknown_field_is_refused(fields):
    with pytest.raises(ValueError, match="fields"):
        LocationField(fields=fields)


def test_location_field__takes_nothing_from_a_request():
    class Form(serializers.Serializer):
        place = LocationField()
        geo = IPLocationField(source="ip")

    form = Form(data={"place": {"city": "Rome"}, "geo": LONDON})
    assert form.is_valid()
    assert form.validated_data == {}


# --- an address ------------------------------------------------------------------------------


@pytest.mark.parametrize("ip", [LONDON, f"::ffff:{LONDON}", f" {LONDON} "])
def test_ip_location_field__answers_an_address(ip):
    assert shown(IPLocationField(fields=SHOWN, source="ip"), ip=ip) == {
        "country_code": "GB",
        "city": "London",
    }


@pytest.mark.parametrize("ip", [None, "", "nonsense", "192.0.2.0/24"])
def test_ip_location_field__what_is_no_address_is_null(ip):
    assert shown(IPLocationField(source="ip"), ip=ip) is None


def test_ip_location_field__list_is_one_batch(batches):
    ips = [f"20.0.0.{n}" for n in range(50)] + [None, "nonsense", LONDON, LONDON]
    told = Shown([Visit(ip=ip) for ip in ips], many=True).data
    assert [len(batch) for batch in batches] == [51]
    assert [one["place"] and one["place"]["city"] for one in told[-4:]] == [
        None,
        None,
        "London",
        "London",
    ]


@pytest.mark.django_db
def test_ip_location_field__queryset_is_read_once(batches, django_assert_num_queries):
    Visit.objects.bulk_create([Visit(ip=f"20.0.0.{n}") for n in range(50)])
    with django_assert_num_queries(1):
        told = Shown(Visit.objects.all(), many=True).data
    assert len(told) == 50
    assert [len(batch) for batch in batches] == [50]


def test_ip_location_field__what_can_be_read_once_is_read_once():
    told = Shown((Visit(ip=ip) for ip in (LONDON, "8.8.8.8")), many=True).data
    assert [one["place"]["city"] for one in told] == ["London", ""]


def test_ip_location_field__of_a_relation_that_some_lack():
    class Related(serializers.Serializer):
        place = IPLocationField(source="login.ip", fields=SHOWN, default=None)

    rows = [SimpleNamespace(login=SimpleNamespace(ip=LONDON)), SimpleNamespace()]
    told = Related(rows, many=True).data
    assert [one["place"] and one["place"]["city"] for one in told] == ["London", None]


def test_ip_location_field__nested_list():
    class Page(serializers.Serializer):
        visits = Shown(many=True)

    told = Page({"visits": [Visit(ip=LONDON), Visit(ip=None)]}).data
    assert told["visits"][0]["place"]["city"] == "London"
    assert told["visits"][1]["place"] is None


def test_ip_location_field__has_the_labels_of_lists(monkeypatch):
    def labelled(locations):
        return [replace(one, traits=("bot",)) for one in locations]

    monkeypatch.setattr(rest_framework, "labelled", labelled)
    assert shown(IPLocationField(source="ip"), ip=LONDON)["traits"] == ["bot"]


# --- without the package ---------------------------------------------------------------------


def test_module__names_its_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *given, **named):
        if name.partition(".")[0] == "rest_framework":
            raise ModuleNotFoundError(name=name)
        return real(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "geocache.integrations.rest_framework")
    with pytest.raises(MissingExtra, match='with the extra "drf"'):
        importlib.import_module("geocache.integrations.rest_framework")
