"""``manage.py locate_geo``, and what it calls."""

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from geocache.located import backfill, locate_objects
from geocache.management.commands import locate_geo
from tests.factories import LONDON, NOON, a_row, many_locations, use_dummy_provider
from tests.visits.models import Guest, Login, Order, Visit

pytestmark = pytest.mark.django_db
PARIS = "81.2.69.160"
ANSWERS = {LONDON: {"country_code": "GB"}, PARIS: {"country_code": "FR"}}
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def provider(settings):
    return use_dummy_provider(settings, answers=ANSWERS)


def located(*arguments):
    out = io.StringIO()
    call_command("locate_geo", *arguments, stdout=out)
    return out.getvalue()


def figures(*arguments):
    found = json.loads(located(*arguments, "--json"))
    assert found.pop("seconds") >= 0
    return found


def countries(model):
    return list(model.objects.order_by("pk").values_list("country_code", flat=True))


def test_locate_geo__fills_what_has_an_address_and_no_answer(provider):
    kept = Login.objects.create(ip=PARIS)
    Login.objects.bulk_create([Login(ip=LONDON), Login(ip=None), Login(ip="8.8.8.8")])
    provider.answers = ANSWERS | {PARIS: {"country_code": "DE"}}
    assert located("visits.login").startswith("2 located, in ")
    assert countries(Login) == ["FR", "GB", "", ""]
    # "Not found" is an answer: it is not asked for again.
    assert figures("visits.Login")["located"] == 0
    kept.refresh_from_db()
    assert kept.location.country_code == "FR"


@pytest.mark.parametrize(
    ("model", "objects"),
    [
        (Login, [Login(ip=LONDON) for _ in range(5)]),
        (Guest, [Guest(name=name, ip=LONDON) for name in ("b", "B2", "ä", "a b", "0")]),
        (Order, [Order(sent_by=LONDON, at=NOON) for _ in range(5)]),
    ],
)
def test_locate_geo__every_kind_of_primary_key_in_batches(model, objects):
    model.objects.bulk_create(objects)
    with CaptureQueriesContext(connection) as queries:
        assert figures(f"visits.{model.__name__}", "--batch-size", "2")["located"] == 5
    assert countries(model) == ["GB"] * 5
    updates = [one for one in queries.captured_queries if one["sql"].startswith("UPDATE")]
    assert len(updates) == 3


def test_locate_geo__takes_the_answer_of_the_objects_time():
    a_row(country_code="IE")
    a_row(country_code="NL", resolved_at=NOON + 4 * DAY)
    times = [NOON - DAY, NOON + DAY, NOON + 9 * DAY, datetime.now(UTC)]
    Order.objects.bulk_create([Order(sent_by=LONDON, at=at) for at in times])
    assert located("visits.Order").startswith("4 located (1 as they were at their time), in ")
    found = dict(Order.objects.values_list("at", "country_code"))
    assert [found[at] for at in times] == ["GB", "IE", "GB", "GB"]


def test_locate_geo__says_what_it_could_not_fill(provider):
    Order.objects.bulk_create([Order(sent_by=one, at=NOON) for one in ("nonsense", "", LONDON)])
    assert "1 located, 1 left, as they hold no IP address, in" in located("visits.Order")
    Order.objects.bulk_create([Order(sent_by=one, at=NOON) for one in (PARIS, "10.0.0.1")])
    provider.is_failing = True
    out = io.StringIO()
    with pytest.raises(CommandError, match=r"^Some rows are left; run it again\.$") as raised:
        call_command("locate_geo", "visits.Order", stdout=out)
    assert raised.value.returncode == 75
    assert (
        "1 located, 1 left, as the provider failed on them, 1 left, as they hold" in out.getvalue()
    )


def test_locate_geo__a_provider_that_answers_nothing_ends_it(provider):
    Login.objects.bulk_create([Login(ip=LONDON)])
    provider.is_failing = True
    with pytest.raises(CommandError, match="the provider has answered nothing; run it again later"):
        located("visits.Login")


def test_locate_geo__never_reads_the_whole_table():
    Login.objects.bulk_create(Login(ip=one.address) for one in many_locations(250))
    with CaptureQueriesContext(connection) as queries:
        assert figures("visits.Login", "--batch-size", "100")["located"] == 250
    reads = [one["sql"] for one in queries.captured_queries if one["sql"].startswith("SELECT")]
    assert all("LIMIT 100" in sql for sql in reads if "visits_login" in sql)


def test_locate_geo__leaves_rows_that_change_meanwhile(monkeypatch):
    login = Login(ip=LONDON)
    Login.objects.bulk_create([login])
    answers_for = backfill.answers_for

    def answer(asked):
        Login.objects.update(ip=PARIS)
        return answers_for(asked)

    monkeypatch.setattr(backfill, "answers_for", answer)
    assert figures("visits.Login")["located"] == 0
    assert countries(Login) == [""]


def test_locate_geo__all_replaces_answers_and_addresses_that_were_updated():
    Login.objects.bulk_create(locate_objects([Login(ip=LONDON), Login(ip=LONDON)]))
    Login.objects.filter(pk=Login.objects.last().pk).update(ip=PARIS)
    assert figures("visits.Login")["located"] == 0
    assert figures("visits.Login", "--all")["located"] == 2
    assert countries(Login) == ["GB", "FR"]


def test_locate_geo__stopped_at_any_time_it_goes_on():
    Login.objects.bulk_create(Login(ip=LONDON) for _ in range(3))

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backfill.back_fill(Login, using="default", batch_rows=1, watch=stop)
    assert countries(Login) == ["GB", "", ""]
    report = backfill.back_fill(Login, using="default", time_limit_seconds=-1)
    assert (report.located, report.is_complete) == (0, False)
    assert figures("visits.Login", "--batch-size", "1")["located"] == 2


def test_locate_geo__dry_run_changes_and_asks_nothing(provider):
    Login.objects.bulk_create([Login(ip=LONDON), Login(ip=None)])
    said = "1 of visits.Login would be looked at; nothing was changed.\n"
    assert located("visits.Login", "--dry-run") == said
    assert json.loads(located("visits.Login", "--dry-run", "--json")) == {"would_locate": 1}
    assert provider.asked == []
    assert countries(Login) == ["", ""]


@pytest.mark.parametrize(
    "label", ["visits.Visit", "visits.Nothing", "nonsense", "auth.User", "a.b.c"]
)
def test_locate_geo__another_model_is_one_line_with_the_right_ones(label):
    with pytest.raises(CommandError) as raised:
        located(label)
    said = f"{label} is not a LocatedModel. Name one of: visits.Guest, visits.Login, visits.Order."
    assert str(raised.value) == said


def test_locate_geo__without_any_model(monkeypatch):
    monkeypatch.setattr(locate_geo, "located_models", dict)
    with pytest.raises(CommandError, match=r"^No model of this project is a LocatedModel"):
        located("visits.Login")


def test_locate_geo__of_a_model_with_a_wrong_name(monkeypatch):
    monkeypatch.setattr(Login, "geo_address_field", "pi")
    with pytest.raises(CommandError, match=r"^Login\.geo_address_field is 'pi': name the field"):
        located("visits.Login")


def test_locate_geo__an_unknown_database_is_one_line():
    with pytest.raises(CommandError, match=r"^elsewhere is not in DATABASES. Name one of: default"):
        located("visits.Login", "--database", "elsewhere")
    Login.objects.bulk_create([Login(ip=LONDON)])
    assert figures("visits.Login", "--database", "default")["located"] == 1


def test_locate_geo__a_provider_that_costs_has_to_be_allowed(settings):
    use_dummy_provider(settings, answers=ANSWERS, is_metered=True)
    Login.objects.bulk_create([Login(ip=LONDON)])
    with pytest.raises(CommandError, match=r"may cost something\. Allow it with --metered\.$"):
        located("visits.Login")
    assert figures("visits.Login", "--metered")["located"] == 1


def test_visit__which_knows_nothing_of_geocache_is_no_located_model():
    assert Visit not in backfill.located_models().values()
