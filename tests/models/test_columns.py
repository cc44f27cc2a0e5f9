from datetime import timedelta

import pytest
from django.core import serializers

from geocache.location import (
    FIELDS,
    LENGTHS,
    Details,
    Subdivision,
    dump_locations,
    load_locations,
)
from geocache.models import AnswerHistory, GeoCache
from geocache.models.columns import AnswerFields, traits_of, traits_text
from geocache.traits import MAX_COUNT, MAX_LENGTH
from tests.factories import LONDON, NOON, a_location, a_row


def test_answer_columns__are_the_fields_of_an_answer_but_its_address():
    columns = {field.name for field in AnswerFields._meta.get_fields()}
    assert columns == {*FIELDS} - {"address"}


@pytest.mark.django_db
@pytest.mark.parametrize("model", [GeoCache, AnswerHistory])
def test_to_location__as_an_answer_for_itself_and_for_a_neighbour(model):
    a_row(LONDON)
    if model is AnswerHistory:
        a_row(LONDON, city="Leeds", resolved_at=NOON + timedelta(days=1))
    row = model.objects.get()
    assert row.to_location() == a_location(LONDON)
    assert row.to_location("81.2.69.1") == a_location("81.2.69.1")
    assert str(row) == LONDON


def test_columns__are_as_wide_as_the_texts_of_an_answer():
    widths = {
        field.name: field.max_length
        for field in GeoCache._meta.get_fields()
        if field.name in FIELDS and field.max_length and field.name not in ("address", "traits")
    }
    assert {name: width for name, width in widths.items() if width != 200} == LENGTHS
    assert GeoCache._meta.get_field("traits").max_length >= MAX_COUNT * (MAX_LENGTH + 1) + 1


@pytest.mark.parametrize("traits", [(), ("anycast",), ("anonymous", "anonymous_vpn")])
def test_traits_text__has_a_comma_around_each(traits):
    text = traits_text(traits)
    assert traits_of(text) == traits
    assert all(f",{trait}," in text for trait in traits)
    assert bool(text) == bool(traits)


@pytest.mark.django_db
def test_row__of_an_answer_with_everything():
    details = Details(
        {"user_count": 3, "static_ip_score": 1.5, "provider_name": "Zürich", "is_x": True}
    )
    subdivisions = (Subdivision("GB-ENG", "England"), Subdivision("GB-WBK", "West Berkshire"))
    fields = {
        "traits": ("anonymous", "anonymous_vpn"),
        "details": details,
        "subdivisions": subdivisions,
    }
    row = a_row(LONDON, metro_code=501, user_type="residential", **fields)
    assert row.to_location() == a_location(
        LONDON, metro_code=501, user_type="residential", **fields
    )
    assert list(GeoCache.objects.all().stream()) == [row.to_location()]
    assert GeoCache.objects.filter(
        details__user_count__gt=2, traits__contains=",anonymous,"
    ).exists()
    row.save()
    assert GeoCache.objects.get().to_location() == row.to_location()
    (copy,) = serializers.deserialize("json", serializers.serialize("json", [row]))
    assert copy.object.to_location() == row.to_location()


@pytest.mark.django_db
def test_to_location__of_a_row_of_the_release_before_has_what_follows_from_its_country():
    a_row(LONDON, country_code="FR")
    GeoCache.objects.update(continent_code="", is_in_european_union=False)
    location = GeoCache.objects.get().to_location()
    assert (location.continent_code, location.is_in_european_union) == ("EU", True)
    assert list(GeoCache.objects.all().stream()) == [location]


@pytest.mark.django_db
@pytest.mark.parametrize("given", [["b", "a", "b"], {"a", "b"}, "b,a", ",b,,a,", ("a", "b")])
def test_traits__are_stored_in_one_form_whatever_a_row_is_given(given):
    row = a_row(LONDON)
    row.traits = given
    row.save()
    assert GeoCache.objects.with_trait("b").get().traits == ("a", "b")
    GeoCache.objects.update(traits="")
    GeoCache.objects.update(traits=given)
    assert GeoCache.objects.with_trait("a").get().traits == ("a", "b")
    row.traits = ["b", "a", "b"]
    GeoCache.objects.bulk_update([row], ["traits"])
    assert GeoCache.objects.with_trait("a").get().traits == ("a", "b")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "wrong", "kept"),
    [
        *(("details", wrong, {}) for wrong in ([1], "x", 5, {"a": {"b": 1}, "c": [1]})),
        ("details", {"a": [1], "b": 2}, {"b": 2}),
        *(("subdivisions", wrong, ()) for wrong in ("x", 5, [1], {"a": 1}, [{"code": None}])),
    ],
)
def test_to_location__of_a_row_with_json_of_another_form(name, wrong, kept):
    a_row(LONDON)
    GeoCache.objects.update(**{name: wrong})
    location = GeoCache.objects.get().to_location()
    assert getattr(location, name) == kept
    assert load_locations(dump_locations([location])) == [location]
    assert list(GeoCache.objects.all().stream()) == [location]
