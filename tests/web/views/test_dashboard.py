import gzip
import re
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.urls import include, path
from django.utils import timezone

from geocache import urls
from geocache.charts.outlines import outlines
from geocache.exceptions import JournalUnavailable
from geocache.health.finding import critical, warning
from geocache.journal import backlog, spill_buffer, writer
from geocache.models import (
    FlushRun,
    GeoCache,
    ImportRun,
    ImportSource,
    RejectedEntry,
    SchedulerLease,
)
from geocache.providers.base import Source
from geocache.providers.dummy import DummyProvider
from geocache.providers.quota import ask
from geocache.statistics.table import refresh_statistics
from geocache.web.views import dashboard, lookup
from tests.factories import (
    a_location,
    a_stranger,
    a_viewer,
    an_admin,
    many_locations,
    use_dummy_provider,
)
from tests.support.assertions import assert_is_page, no_database_write
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db
URL = "/"
# The session and its user; the statistics; nine for the state of all parts, one of them to see
# which tables there are; the last flushes.
QUERIES = 15
MANY = {"country_code": "DE", "asn": 64500, "organization": "Test <Networks>"}

# What the list of addresses will be.
urlpatterns = [
    path(
        "",
        include(
            (
                [
                    path("addresses/", lookup.lookup_page, name="addresses"),
                    *urls.urlpatterns,
                ],
                "geocache",
            )
        ),
    ),
]


@pytest.fixture(autouse=True)
def provider(settings):
    return use_dummy_provider(settings)


@pytest.fixture
def counted():
    """Three addresses in Germany, one in Britain, one nowhere, all counted."""
    now = timezone.now()
    somewhere = [{**MANY, "resolved_at": now}] * 3 + [{"resolved_at": now - timedelta(days=3)}]
    nowhere = {"country_code": "", "reason": "not_found", "source": ""}
    GeoCache.objects.upsert(
        [
            a_location(f"20.0.0.{number}", **fields)
            for number, fields in enumerate([*somewhere, nowhere])
        ]
    )
    refresh_statistics()


def see(client):
    with no_database_write(max_queries=QUERIES):
        response = client.get(URL)
    assert_is_page(response)
    return response.text


def a_run(**fields):
    given = {
        "started_at": timezone.now(),
        "seconds": 0.25,
        "flushed": 7,
        "rejected": 0,
        "pending": 0,
        "timed_out": False,
    }
    return FlushRun.objects.create(**given | fields)


# --- who may ---------------------------------------------------------------------------------


def test_dashboard_page__anonymous_is_sent_to_log_in(client):
    with no_database_write(max_queries=0):
        response = client.get(URL)
    assert response.url == "/login/?next=/"


def test_dashboard_page__stranger_is_refused(client):
    client.force_login(a_stranger())
    # Session, user, and the permissions of the user and of the groups.
    with no_database_write(max_queries=4):
        assert_is_page(client.get(URL), HTTPStatus.FORBIDDEN)


@pytest.mark.parametrize("who", [None, a_stranger])
def test_dashboard_page__public_is_sent_to_the_look_up(client, settings, who):
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": True}
    if who:
        client.force_login(who())
    assert client.get(URL).url == "/lookup/"


@pytest.mark.parametrize("who", [a_viewer, an_admin])
@pytest.mark.parametrize("is_public", [False, True])
def test_dashboard_page__staff_sees_it(client, settings, who, is_public):
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": is_public}
    client.force_login(who())
    text = see(client)
    assert '<a href="/" aria-current="page">Dashboard</a>' in text
    assert '<a class="brand" href="/">' in text


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_dashboard_page__other_methods_are_not_allowed(viewer, method):
    assert getattr(viewer, method)(URL).status_code == HTTPStatus.METHOD_NOT_ALLOWED


def test_log_in__leads_to_the_dashboard(client):
    a_viewer()
    response = client.post("/login/", {"username": "viewer", "password": "viewer"})
    assert response.url == URL


def test_nav__is_for_staff(client, settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": True}
    text = client.get("/lookup/").text
    assert "Dashboard" not in text
    assert '<a class="brand" href="/lookup/">' in text


# --- a new installation ----------------------------------------------------------------------


def test_dashboard_page__new_installation_says_what_to_do(viewer):
    text = see(viewer)
    assert "No address is in the table yet" in text
    for step in ('<a href="/lookup/">', "manage.py schedule_geo", "manage.py demo_geo"):
        assert step in text
    assert "Nothing was flushed yet" in text
    assert "wait in the cache" in text
    assert "<path" not in text


def test_dashboard_page__an_empty_table_that_was_counted_is_new_too(viewer):
    refresh_statistics()
    assert "No address is in the table yet" in see(viewer)


def test_dashboard_page__what_waits_for_the_first_flush_is_said(viewer):
    writer.append(many_locations(1234))
    text = see(viewer)
    assert "1,234 answers wait in the cache" in text
    assert "<strong>1,234</strong>" in text


# --- counts ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("counted")
def test_dashboard_page__counts_addresses(viewer):
    text = see(viewer)
    assert "<strong>5</strong>" in text
    assert "counted <time datetime=" in text
    assert "<dt>Nothing known of</dt>" in text
    assert "4 of the answers in the table are from the last 30 days." in text


@pytest.mark.usefixtures("counted")
def test_dashboard_page__countries_are_on_the_map_and_in_the_table(viewer):
    text = see(viewer)
    assert "<title>Germany: 3</title>" in text
    assert "<title>United Kingdom: 1</title>" in text
    assert re.search(r"🇩🇪</span>\s+<a [^>]*>Germany</a></th>\s+<td>3</td>\s+<td>60.0%</td>", text)


@pytest.mark.urls("tests.web.views.test_dashboard")
@pytest.mark.usefixtures("counted")
def test_dashboard_page__links_to_the_addresses_of_countries_and_operators(viewer):
    response = viewer.get(URL)
    links = re.findall(r'href="(/addresses/\?[^"]*)"', response.text)
    by_country = ["/addresses/?country=DE", "/addresses/?country=GB"]
    # On the map, in the table, their continent, and one operator.
    others = ["/addresses/?continent=EU", "/addresses/?asn=64500"]
    assert sorted(links) == sorted([*by_country, *by_country, *others])
    assert '<a href="/addresses/">Addresses</a>' in response.text


@pytest.mark.urls("tests.web.views.test_dashboard")
def test_dashboard_page__kinds_have_shares_and_lead_to_their_addresses(viewer):
    kinds = {"traits": ("anonymous", "anonymous_vpn"), "user_type": "residential"}
    GeoCache.objects.upsert(
        a_location(f"20.0.0.{number}", asn=64500, **fields)
        for number, fields in enumerate([kinds, {"traits": ("hosting_provider",)}, {}, {}])
    )
    refresh_statistics()
    text = viewer.get(URL).text
    assert "1 address of machines, not of people" in text
    assert "1 address of a VPN, a proxy or Tor" in text
    assert '<a href="/addresses/?trait=anonymous_vpn">VPN</a>' in text
    assert '<a href="/addresses/?user_type=residential">Household</a>' in text
    # Of the country and of the operator.
    assert text.count("<td>25.0%</td><td>25.0%</td>") == 2


@pytest.mark.usefixtures("counted")
def test_dashboard_page__without_kinds_says_what_would_give_them(viewer):
    text = see(viewer)
    assert "No answer names a data centre, a VPN or a proxy." in text
    assert "<code>docs/providers.md</code> says how." in text
    assert '<th scope="col">Data centres</th>' not in text


@pytest.mark.usefixtures("counted")
def test_dashboard_page__operators_are_shown_as_text(viewer):
    text = see(viewer)
    assert "Test &lt;Networks&gt;" in text
    assert '<span class="code">AS64500</span>' in text


def test_dashboard_page__without_operators_it_says_why(viewer):
    GeoCache.objects.upsert([a_location()])
    refresh_statistics()
    assert "No answer names an operator" in see(viewer)


@pytest.mark.usefixtures("counted")
def test_dashboard_page__days_are_a_chart_and_a_table(viewer):
    text = see(viewer)
    assert 'aria-label="Answers of each of the last 30 days"' in text
    today = timezone.localdate()
    assert f'<time datetime="{today}">' in text
    assert text.count("<time datetime=") > 30


@pytest.mark.usefixtures("counted")
def test_dashboard_page__new_counts_are_shown_at_once(viewer):
    assert "<title>Germany: 3</title>" in see(viewer)
    GeoCache.objects.upsert([a_location("20.0.1.1", country_code="DE")])
    refresh_statistics()
    assert "<title>Germany: 4</title>" in see(viewer)


@pytest.mark.usefixtures("counted")
def test_dashboard_page__is_in_the_language_of_the_reader(viewer):
    see(viewer)
    text = viewer.get(URL, headers={"accept-language": "de"}).text
    assert "<title>Deutschland: 3</title>" in text
    assert "<td>60,0\N{NO-BREAK SPACE}%</td>" in text
    assert "<title>Germany: 3</title>" in see(viewer)


# --- state -----------------------------------------------------------------------------------


def test_dashboard_page__scheduler_that_runs(viewer):
    SchedulerLease.objects.create(
        name="geo_scheduler", holder="host:1", expires_at=timezone.now() + timedelta(seconds=30)
    )
    text = see(viewer)
    assert "<strong>running</strong>" in text
    assert "host:1" in text
    assert "It is running." in text


def test_dashboard_page__scheduler_that_does_not_run(viewer):
    assert "not running" in see(viewer)


def test_dashboard_page__says_nothing_of_a_scheduler_where_cron_flushes(viewer):
    a_run(started_at=timezone.now() - timedelta(minutes=5), flushed=7)
    text = see(viewer)
    assert "<dt>Scheduler</dt>" not in text
    assert "<dt>Last flush</dt>" in text


def test_dashboard_page__flushes_are_a_chart_and_a_table(viewer):
    now = timezone.now()
    for minutes in range(40):
        a_run(started_at=now - timedelta(minutes=minutes), flushed=1000 + minutes)
    text = see(viewer)
    assert text.count('<g class="bar ') == 30
    assert "at most 1,029" in text
    assert "<strong>1,000</strong>" in text
    assert "<td>1,029</td>" in text
    assert "<td>1,030</td>" not in text


def test_dashboard_page__failed_flush_is_said(viewer):
    a_run(error="the database <is> away", flushed=0)
    text = see(viewer)
    assert '<strong class="is-bad">failed</strong>' in text
    assert '<g class="bar is-bad">' in text
    assert "the database &lt;is&gt; away" in text


def test_dashboard_page__flush_that_ran_out_of_time_is_said(viewer):
    a_run(timed_out=True)
    text = see(viewer)
    assert '<g class="bar is-late">' in text
    assert "(stopped by the time limit)" in text


@pytest.mark.parametrize(("seconds", "is_late"), [(100, False), (200, True)])
def test_dashboard_page__old_backlog_is_a_warning(viewer, seconds, is_late):
    writer.append([a_location(resolved_at=timezone.now() - timedelta(seconds=seconds))])
    text = see(viewer)
    assert "the oldest since <time datetime=" in text
    # Nothing is said to run the flush: that is why it waits.
    assert "nothing runs the flush" in text
    a_run()
    text = see(viewer)
    assert ("to be flushed. Nothing is lost" in text) is is_late


@pytest.mark.usefixtures("counted")
def test_dashboard_page__all_is_well(viewer):
    a_run()
    assert 'class="notice' not in see(viewer)


def test_dashboard_page__what_was_lost_rejected_or_not_recorded_is_said(viewer, monkeypatch):
    a_run(lost=2)
    for _ in range(3):
        RejectedEntry.objects.create(record="?", error="?")
    monkeypatch.setattr(spill_buffer, "unrecorded", lambda: 1234)
    text = see(viewer)
    assert "has lost 2 records" in text
    assert "has refused 3 answers" in text
    assert 'href="/admin/geocache/rejectedentry/"' in text
    assert "1,234 answers were not recorded" in text
    assert "<code>docs/troubleshooting.md#lost-records</code>" in text


def test_dashboard_page__many_findings_are_folded_after_the_worst_three(viewer, monkeypatch):
    findings = [critical("flush", "flush-failed", f"Critical {n}.") for n in range(2)]
    findings += [warning("lists", "blocklist-failed", f"Warning {n}.") for n in range(4)]
    monkeypatch.setattr(dashboard, "find", lambda *_: findings)
    text = see(viewer)
    shown, _, folded = text.partition('<details class="notice notice-warning">')
    assert "3 more findings" in folded
    assert "Warning 0." in shown
    assert "Warning 1." not in shown
    assert "Warning 3." in folded.partition("</details>")[0]


def test_dashboard_page__cache_that_is_down_is_said(viewer, monkeypatch):
    def fail(*_):
        raise JournalUnavailable("the cache is down")

    monkeypatch.setattr(backlog.segments, "read", fail)
    text = see(viewer)
    assert "journal cannot be read: the cache is down" in text
    assert "<strong>unknown</strong>" in text


def test_dashboard_page__old_database_is_a_warning(viewer, monkeypatch):
    built_at = timezone.now() - timedelta(days=100)
    monkeypatch.setattr(
        DummyProvider, "sources", lambda _: [Source(name="City", built_at=built_at)]
    )
    text = see(viewer)
    assert "City is 100 days old." in text


def test_dashboard_page__list_that_failed_or_is_overdue_is_said(viewer, settings):
    sources = {"late <1>": "/srv/late.txt", "fails": "/srv/fails.txt", "fine": "/srv/fine.txt"}
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": sources}
    for name in sources:
        imported("1.1.1.1", name=name)
    now = timezone.now()
    ImportSource.objects.filter(name="fails").update(problem="<gone>", attempted_at=now)
    old = now - timedelta(days=2)
    ImportRun.objects.filter(source__name="late <1>").update(finished_at=old)
    text = see(viewer)
    assert "fails: the last import failed: &lt;gone&gt;" in text
    assert "late &lt;1&gt;: the next import of this list is overdue" in text
    assert "it was last imported 48 hours ago" in text
    assert text.count('<a href="/lists/">All lists</a>') == 2
    assert "fine:" not in text


def test_dashboard_page__of_lists_tells_only_who_may_see_them(client, settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_SOURCES": {"fails": "/srv/fails.txt"}}
    imported("1.1.1.1", name="fails")
    ImportSource.objects.update(problem="gone")
    user = a_viewer()
    client.force_login(user)
    assert "fails: the last import failed" in see(client)
    user.user_permissions.remove(*user.user_permissions.filter(codename="view_importsource"))
    assert "the last import failed" not in see(client)


# --- weight ----------------------------------------------------------------------------------


def test_dashboard_page__is_light_with_every_country_and_operator(viewer):
    everywhere = [
        a_location(
            f"20.0.{number}.1",
            country_code=code,
            asn=number,
            organization=f"Operator number {number} of {code}",
            resolved_at=timezone.now(),
        )
        for number, code in enumerate(outlines())
    ]
    GeoCache.objects.upsert(everywhere)
    for number in range(30):
        a_run(flushed=number)
    refresh_statistics()
    text = see(viewer)
    assert text.count("<tr>") > 247 + 50 + 30
    assert len(gzip.compress(text.encode(), mtime=0)) < 60_000


@pytest.mark.parametrize("who", [an_admin, a_viewer])
def test_dashboard__shows_what_is_asked_of_a_provider_that_costs(client, settings, who):
    provider = use_dummy_provider(settings, is_metered=True, name="Paid <1>", queries_per_day=1250)
    provider.queries_remaining = 4321
    ask(provider, {}, [f"20.0.{n >> 8}.{n & 255}" for n in range(1200)])
    client.force_login(who())
    with no_database_write(max_queries=QUERIES):
        page = client.get(URL)
    assert_is_page(page)
    text = page.content.decode()
    assert "Paid &lt;1&gt; 1" in text
    for shown in ("1,200", "1,250", "4,321", "nearly spent"):
        assert shown in text


def test_dashboard__of_a_free_provider_shows_no_queries(client):
    client.force_login(an_admin())
    assert "Queries today" not in client.get(URL).content.decode()


def test_dashboard__says_that_bans_are_switched_off(settings, superuser):
    assert "Bans are switched off" not in superuser.get(URL).text
    action = {"BACKEND": "tests.support.ban_actions.RecordingAction"}
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": action, "BANS_ENABLED": False}
    response = superuser.get(URL)
    assert_is_page(response)
    assert "Bans are switched off:" in response.text
    assert "/admin/geocache/settingoverride/BANS_ENABLED/change/" in response.text
