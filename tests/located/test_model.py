import json
from datetime import UTC, datetime, timedelta
from math import nan
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import async_to_sync
from django.core import serializers
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import connection, models, transaction
from django.db.migrations.writer import MigrationWriter
from django.test.utils import isolate_apps
from django.utils import timezone

from geocache.located import LocatedModel, LocationField, locate, locate_objects
from geocache.location import Details, Location, Subdivision
from tests.factories import LONDON, NOON, a_location, a_row, use_dummy_provider
from tests.visits.models import Login, Order

pytestmark = pytest.mark.django_db
PARIS = "81.2.69.160"
ANSWERS = {
    LONDON: {"country_code": "GB", "city": "London", "latitude": 51.5},
    PARIS: {"country_code": "FR", "city": "Paris"},
}
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def provider(settings):
    return use_dummy_provider(settings, answers=ANSWERS)


def stored(one):
    return type(one)._default_manager.get(pk=one.pk)


def move_london():
    """London for four days, and Leeds since."""
    a_row(latitude=51.5)
    a_row(city="Leeds", resolved_at=NOON + 4 * DAY)


def test_save__keeps_the_answer_with_the_object():
    login = stored(Login.objects.create(ip=LONDON))
    assert login.country_code == "GB"
    assert isinstance(login.location, Location)
    assert (login.location.city, login.location.latitude) == ("London", 51.5)
    assert login.location.resolved_at.tzinfo is not None


def test_save__an_answer_is_kept_while_the_address_is(settings):
    login = Login.objects.create(ip=LONDON)
    use_dummy_provider(settings, answers={LONDON: {"country_code": "DE"}}, version="2")
    again = stored(login)
    again.user_name = "mallory"
    again.save()
    assert stored(login).country_code == "GB"
    again.ip = f"::ffff:{LONDON}"  # the same address
    again.save()
    assert stored(login).location.city == "London"


def test_save__a_changed_address_is_located_again():
    login = stored(Login.objects.create(ip=LONDON))
    login.ip = PARIS
    login.save()
    assert (stored(login).country_code, stored(login).location.city) == ("FR", "Paris")
    login.ip = None
    login.save()
    assert (stored(login).country_code, stored(login).location) == ("", None)


def test_save__a_country_survives_the_address_that_is_erased():
    login = Login.objects.create(ip=LONDON)
    Login.objects.update(ip=None, location=None)
    stored(login).save()
    assert (stored(login).country_code, stored(login).location) == ("GB", None)


def test_save__update_fields_are_respected(django_assert_num_queries):
    login = Login.objects.create(ip=LONDON)
    login.ip, login.user_name = PARIS, "mallory"
    login.save(update_fields=["user_name"])
    assert (stored(login).ip, stored(login).country_code) == (LONDON, "GB")
    login.save(update_fields=["ip"])
    assert (stored(login).ip, stored(login).country_code) == (PARIS, "FR")
    Login.objects.update_or_create(pk=login.pk, defaults={"ip": LONDON})
    assert stored(login).location.city == "London"
    partial = Login.objects.only("user_name").get(pk=login.pk)
    with django_assert_num_queries(1):
        partial.save()


def test_asave__locates():
    login = Login(ip=LONDON)
    async_to_sync(login.asave)()
    assert login.country_code == "GB"


@pytest.mark.parametrize("address", ["", "nonsense", "x" * 90])
def test_save__what_is_no_address_has_no_answer(address):
    order = stored(Order.objects.create(sent_by=address, at=NOON))
    assert (order.country_code, order.location) == ("", None)


def test_save__nothing_known_is_an_answer():
    login = stored(Login.objects.create(ip="10.0.0.1"))
    assert (login.country_code, login.location.reason) == ("", "private")


def test_save__a_provider_that_fails_leaves_it_empty(provider):
    provider.is_failing = True
    login = Login.objects.create(ip=LONDON)
    assert (login.country_code, login.location) == ("", None)
    provider.is_failing = False
    login.save()
    assert stored(login).country_code == "GB"


def test_save__never_fails_for_the_answer(monkeypatch):
    def fail(_):
        raise ImproperlyConfigured

    monkeypatch.setattr(locate, "lookup_many", fail)
    assert Login.objects.create(ip=LONDON).pk


def test_save__with_tables_that_cannot_be_read(monkeypatch):
    def broken(_):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM no_such_table")

    monkeypatch.setattr(locate, "former_answers", broken)
    with transaction.atomic():
        order = Order.objects.create(sent_by=LONDON, at=NOON)
    assert stored(order).country_code == "GB"


def test_save__the_answer_is_that_of_the_objects_time():
    move_london()
    expected = {NOON - DAY: "London", NOON + DAY: "London", NOON + 5 * DAY: "London"}
    cities = {at: Order.objects.create(sent_by=LONDON, at=at).location for at in expected}
    # Before and after the history: today's answer, of the provider; within: the row of that time.
    sources = [one.source for one in cities.values()]
    assert sources == ["Dummy 1", "Dummy 1", "Dummy 1"]
    assert [one.resolved_at == NOON for one in cities.values()] == [False, True, False]


def test_save__a_new_object_costs_no_query_for_history(django_assert_num_queries):
    Login.objects.create(ip=LONDON)
    with django_assert_num_queries(1):
        Order.objects.create(sent_by=LONDON, at=datetime.now(UTC), pk=None)


def test_set_visitor__takes_the_address_of_the_request(rf):
    login = Login()
    login.set_visitor(rf.get("/", REMOTE_ADDR=LONDON))
    login.save()
    assert (login.ip, login.country_code) == (LONDON, "GB")


def test_locate_objects__asks_once_for_all(django_assert_num_queries, monkeypatch):
    asked = []
    many = locate.lookup_many
    monkeypatch.setattr(locate, "lookup_many", lambda some: asked.append(some) or many(some))
    logins = [Login(ip=ip) for ip in (LONDON, PARIS, None, LONDON)]
    with django_assert_num_queries(1):
        Login.objects.bulk_create(locate_objects(logins))
    assert asked == [{LONDON, PARIS}]
    found = Login.objects.order_by("pk").values_list("country_code", flat=True)
    assert list(found) == ["GB", "FR", "", "GB"]


def test_queries__by_country_and_by_parts_of_the_location():
    Login.objects.bulk_create(locate_objects([Login(ip=LONDON), Login(ip=PARIS)]))
    assert Login.objects.get(country_code="GB").ip == LONDON
    assert Login.objects.get(location__city="Paris").ip == PARIS
    assert set(Login.objects.values_list("location__city", flat=True)) == {"London", "Paris"}
    assert Login.objects.filter(location__isnull=True).count() == 0
    (location,) = Login.objects.filter(ip=PARIS).values_list("location", flat=True)
    assert location.city == "Paris"


def test_country_code__has_an_index():
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Login._meta.db_table)
    assert any(one["index"] and one["columns"] == ["country_code"] for one in found.values())


@pytest.mark.parametrize("text", ["Ko\0ln", "half \ud83d", "Köln 🇩🇪"])
def test_location_field__any_text_can_be_stored(text):
    login = Login.objects.create(ip=LONDON, location=a_location(city=text, latitude=float("nan")))
    found = stored(login).location
    assert found.city == text.replace("\0", "").replace("\ud83d", "\ufffd")
    assert found.latitude is None


def test_location_field__any_text_and_number_inside_a_field_can_be_stored():
    odd = "a\0b\ud83d"
    answer = a_location(
        traits=(odd,),
        subdivisions=(Subdivision("", odd),),
        details=Details.of({odd: odd, "n": nan}),
    )
    found = stored(Login.objects.create(ip=LONDON, location=answer)).location
    kept = "ab\ufffd"
    assert (found.traits, found.subdivisions) == ((kept,), (Subdivision("", kept),))
    assert found.details == {kept: kept, "n": None}


def test_location_field__a_later_release_may_have_other_fields():
    login = Login.objects.create(ip=LONDON)
    plain = {"address": LONDON, "resolved_at": NOON.isoformat(), "later": 1}
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Login._meta.db_table} SET location = %s", [json.dumps(plain)])
    assert stored(login).location == Location(address=LONDON, resolved_at=NOON)


@pytest.mark.parametrize("text", ["[]", "{}", '"x"', '{"address": 1}', "null", "7"])
def test_location_field__what_cannot_be_read_is_none(text):
    login = Login.objects.create(ip=LONDON)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Login._meta.db_table} SET location = %s", [text])
    assert stored(login).location is None


@pytest.mark.parametrize("form", ["json", "xml"])
def test_location_field__fixtures_hold_it(form, provider):
    login = Login.objects.create(ip=LONDON)
    text = serializers.serialize(form, [login])
    Login.objects.all().delete()
    provider.is_failing = True
    for one in serializers.deserialize(form, text):
        one.save()
    assert stored(login).location == login.location


def test_location_field__is_in_no_form_and_valid():
    login = Login.objects.create(ip=LONDON)
    login.full_clean()
    assert LocationField(null=True).formfield() is None
    with pytest.raises(ValidationError, match="not a location"):
        LocationField().to_python({"city": "Paris"})


def test_location_field__migrations_name_the_public_module():
    text, imports = MigrationWriter.serialize(LocationField(null=True))
    assert text == "geocache.located.LocationField(null=True)"
    assert imports == {"import geocache.located"}


def test_locate_objects__one_that_holds_no_answer_keeps_none_from_the_others(caplog):
    plain = Login(ip=PARIS, location={"address": PARIS})
    (located, _) = locate_objects([Login(ip=LONDON), plain])
    assert located.country_code == "GB"
    assert plain.location == {"address": PARIS}
    assert not caplog.records


def test_save__a_time_without_a_zone_is_the_projects_whoever_saves(settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "America/New_York"
    move_london()
    before = (NOON + 4 * DAY - timedelta(hours=1)).astimezone(ZoneInfo("America/New_York"))
    with timezone.override("America/Los_Angeles"):
        (order,) = locate_objects([Order(sent_by=LONDON, at=before.replace(tzinfo=None))])
    assert order.location.resolved_at == NOON


def test_check__names_that_fit_are_silent():
    assert [*Login.check(), *Order.check()] == []


@isolate_apps("tests.visits")
@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({}, "geo_address_field is ''"),
        ({"geo_address_field": "pi"}, "geo_address_field is 'pi'"),
        ({"geo_address_field": "friend"}, "geo_address_field is 'friend'"),
        ({"geo_address_field": "ip", "geo_time_field": "att"}, "geo_time_field is 'att'"),
        ({"geo_address_field": "ip", "geo_time_field": "ip"}, "geo_time_field is 'ip'"),
        (
            {"geo_address_field": "ip", "location": models.CharField(max_length=9)},
            "location is a field of another kind",
        ),
        ({"geo_address_field": "ip", "location": LocationField()}, "location has to be nullable"),
        ({"geo_address_field": "ip", "country_code": None}, "country_code is not a field of text"),
        (
            {"geo_address_field": "ip", "country_code": models.IntegerField()},
            "country_code is not a field of text",
        ),
    ],
)
def test_check__wrong_names_are_one_line(names, said):
    class Wrong(LocatedModel):
        ip = models.GenericIPAddressField()
        friend = models.ForeignKey("self", on_delete=models.CASCADE)
        locals().update(names)

        class Meta:
            app_label = "visits"

    (problem,) = [one for one in Wrong.check() if one.id == "geocache.E066"]
    assert problem.msg.startswith(f"Wrong.{said}")
    assert "\n" not in problem.msg
