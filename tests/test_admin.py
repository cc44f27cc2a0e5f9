import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Permission
from django.core.cache.backends.base import BaseCache
from django.db import DatabaseError, connection
from django.test import Client

from geocache import admin, caches, journal
from geocache.locations import dump_locations
from geocache.models import FlushRun, GeoCache, JournalHead, RejectedEntry
from geocache.statistics import read_statistics
from tests.assertions import assert_valid_html, no_database_write
from tests.factories import (
    LONDON,
    MOSCOW_V6,
    NOON,
    a_location,
    a_row,
    a_stranger,
    a_viewer,
    an_admin,
    many_locations,
)

pytestmark = [
    pytest.mark.django_db,
    # WhiteNoise, where nobody has run collectstatic.
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),
]
LIST = "/admin/geocache/geocache/"
FLUSH = f"{LIST}flush/"
RUNS = "/admin/geocache/flushrun/"
REJECTED = "/admin/geocache/rejectedentry/"
# Session, user, two for permissions, head, countries, dates, count, rows and the rows' dates.
LIST_QUERIES = 12


@pytest.fixture
def viewer(client):
    client.force_login(a_viewer())
    return client


@pytest.fixture
def superuser(client):
    client.force_login(an_admin())
    return client


def a_run(**fields: Any) -> FlushRun:
    given = {"seconds": 0.5, "flushed": 1200, "rejected": 1, "pending": 0, "timed_out": False}
    return FlushRun.objects.create(started_at=NOON, **given | fields)


def a_rejected(record: str | None = None, **fields: Any) -> RejectedEntry:
    text = dump_locations([a_location()]) if record is None else record
    return RejectedEntry.objects.create(**{"record": text, "error": "too long"} | fields)


def shown(client: Client, **query: str) -> list[str]:
    """The addresses on the list, in their order."""
    with no_database_write(max_queries=LIST_QUERIES):
        response = client.get(LIST, query)
    assert response.status_code == 200
    assert_valid_html(response)
    return [row.address for row in response.context["cl"].result_list]


def said(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


# --- who may ---------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [None, a_stranger])
@pytest.mark.parametrize("url", [LIST, f"{LIST}{LONDON}/change/", RUNS, REJECTED])
def test_admin__others_are_sent_to_log_in(client, who, url):
    if who:
        client.force_login(who())
    with no_database_write(max_queries=2):
        response = client.get(url)
    assert response.status_code == 302
    assert response.url.startswith("/admin/login/")


@pytest.mark.parametrize("who", [a_viewer, an_admin])
def test_admin__each_page_is_valid_and_writes_nothing(client, who):
    client.force_login(who())
    a_row()
    run, entry = a_run(error="x" * 500), a_rejected()
    for url in (
        LIST,
        f"{LIST}{LONDON}/change/",
        RUNS,
        f"{RUNS}{run.pk}/change/",
        REJECTED,
        f"{REJECTED}{entry.pk}/change/",
    ):
        with no_database_write(max_queries=LIST_QUERIES):
            response = client.get(url)
        assert response.status_code == 200, url
        assert_valid_html(response)


@pytest.mark.parametrize("url", [LIST, RUNS, REJECTED])
def test_admin__nobody_adds(superuser, url):
    assert superuser.get(f"{url}add/").status_code == 403
    assert superuser.post(f"{url}add/").status_code == 403


def test_admin__nobody_changes_or_deletes_an_answer(superuser):
    a_row()
    assert superuser.post(f"{LIST}{LONDON}/change/", {"city": "Paris"}).status_code == 403
    assert superuser.post(f"{LIST}{LONDON}/delete/", {"post": "yes"}).status_code == 403
    assert superuser.post(LIST, {"action": "delete_selected", "_selected_action": LONDON})
    assert GeoCache.objects.get().city == "London"


def test_admin__nobody_changes_or_deletes_a_run(superuser):
    run = a_run()
    assert superuser.post(f"{RUNS}{run.pk}/change/", {"flushed": 1}).status_code == 403
    assert superuser.post(f"{RUNS}{run.pk}/delete/", {"post": "yes"}).status_code == 403


def test_admin__detail_shows_numbers_of_systems_without_separators(viewer):
    a_row(asn=64500, organization="Test Networks", latitude=51.5)
    text = viewer.get(f"{LIST}{LONDON}/change/").text
    assert "AS64500 Test Networks" in text
    assert "🇬🇧 United Kingdom" in text
    assert 'name="_save"' not in text


# --- the list --------------------------------------------------------------------------------


def test_list__shows_flag_country_operator_and_a_link_to_the_network(viewer):
    a_row(asn=64500, organization="<b>Networks")
    a_row("8.8.8.8", country_code="", city="", reason="not_found", network="")
    text = viewer.get(LIST).text
    assert "🇬🇧 United Kingdom" in text
    assert "AS64500 &lt;b&gt;Networks" in text
    assert '<a href="?q=81.2.69.0/24">81.2.69.0/24</a>' in text
    assert "(not found)" in text


def test_list__newest_is_first(viewer):
    for hours, address in enumerate(["1.1.1.1", "9.9.9.9", "5.5.5.5"]):
        a_row(address, resolved_at=NOON + timedelta(hours=hours))
    assert shown(viewer) == ["5.5.5.5", "9.9.9.9", "1.1.1.1"]


def test_list__addresses_sort_as_numbers(viewer):
    for address in ("100.0.0.1", "20.0.0.1", "3.0.0.1", MOSCOW_V6):
        a_row(address)
    assert shown(viewer, o="1") == ["3.0.0.1", "20.0.0.1", "100.0.0.1", MOSCOW_V6]


def test_list__only_what_an_index_sorts_can_be_sorted(viewer):
    a_row()
    links = re.findall(r'class="sortable.*?column-(\w+)', viewer.get(LIST).text, re.DOTALL)
    assert links == ["address_text", "resolved_at"]


def test_list__queries_do_not_grow_with_the_rows(viewer):
    GeoCache.objects.upsert(many_locations(150, asn=1))
    assert len(shown(viewer)) == 100


def test_list__counts_no_further_than_its_limit(viewer, monkeypatch):
    monkeypatch.setattr(admin, "LIST_LIMIT", 20)
    GeoCache.objects.upsert(many_locations(30))
    with no_database_write(max_queries=LIST_QUERIES) as queries:
        response = viewer.get(LIST)
    assert response.context["cl"].result_count == 20
    assert "The first 20 are listed" in response.text
    assert_valid_html(response)
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 20" in sql for sql in counts)


def test_list__short_one_can_be_drilled_down_by_date(viewer):
    a_row("1.1.1.1", resolved_at=NOON)
    a_row("9.9.9.9", resolved_at=NOON + timedelta(days=400))
    assert "2027" in viewer.get(LIST).text
    assert shown(viewer, resolved_at__year="2027") == ["9.9.9.9"]


# --- search ----------------------------------------------------------------------------------

NEIGHBOURS = ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0", "2001:db8::1")


@pytest.fixture
def neighbours():
    for address in (*NEIGHBOURS, "2001:db9::"):
        a_row(address)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("203.0.113.0/24", {"203.0.113.0", "203.0.113.255"}),
        (" 203.0.113.77/24 ", {"203.0.113.0", "203.0.113.255"}),
        ("203.0.113.", {"203.0.113.0", "203.0.113.255"}),
        ("203.0.113", {"203.0.113.0", "203.0.113.255"}),
        ("203.0.", set(NEIGHBOURS[:4])),
        ("203.", set(NEIGHBOURS[:4])),
        ("203.0.113.255", {"203.0.113.255"}),
        ("::ffff:203.0.113.255", {"203.0.113.255"}),
        ("203.0.113.1", set()),
        ("2001:db8::/32", {"2001:db8::1"}),
        ("2001:0DB8:0::1", {"2001:db8::1"}),
        ("2001:db8::1/128", {"2001:db8::1"}),
        ("", {*NEIGHBOURS, "2001:db9::"}),
    ],
)
@pytest.mark.usefixtures("neighbours")
def test_search__address_network_or_beginning(viewer, text, found):
    assert set(shown(viewer, q=text)) == found
    assert said(viewer.get(LIST, {"q": text})) == []


@pytest.mark.parametrize(
    "text",
    [
        "London",
        "203",
        "300.0.",
        "1.2.3.4.5",
        "203.0.113.0/33",
        "/",
        "1.2.3.4 5.6.7.8",
        "١.٢.",  # noqa: RUF001 - digits that are not ASCII
        "' OR 1=1 --",
        "<b>x</b>",
        "%s %(text)s",
        "x" * 2000,
    ],
)
@pytest.mark.usefixtures("neighbours")
def test_search__anything_else_finds_nothing_and_says_what_can_be_searched(viewer, text):
    assert shown(viewer, q=text) == []
    response = viewer.get(LIST, {"q": text})
    [message] = said(response)
    assert "cannot be searched for. Search for an address, a network" in message
    assert "<b>x" not in response.text


@pytest.mark.parametrize("text", ["203.0.113.0/24", "203.0.", "2001:db8::/32"])
def test_search__network_is_a_range_of_the_index(text):
    GeoCache.objects.upsert(many_locations(2000))
    explained = explain(GeoCache.objects.search(text))
    assert "geocache_sort_key" in explained
    assert not re.search(r"Seq Scan|^SCAN", explained, re.MULTILINE)


def test_search__address_is_found_by_its_key():
    GeoCache.objects.upsert(many_locations(2000))
    explained = explain(GeoCache.objects.search("20.0.0.1"))
    assert not re.search(r"Seq Scan|^SCAN", explained, re.MULTILINE)


def explain(queryset: Any) -> str:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # The table of a test is so small that its statistics, not its indexes, would decide.
            cursor.execute("ANALYZE geocache_geocache")
        elif connection.vendor != "sqlite":
            pytest.skip(f"how {connection.vendor} explains is not known here")
    # SQLite: "2 0 61 SEARCH ...": without the numbers.
    return re.sub(r"^[\d ]+", "", queryset.explain(), flags=re.MULTILINE)


# --- filters ---------------------------------------------------------------------------------


def test_filter__countries_are_those_present_by_name(viewer):
    for number, code in enumerate(["US", "GB", "XK", "AX", "GB", ""]):
        a_row(f"20.0.0.{number}", country_code=code, reason="" if code else "not_found")
    spec = viewer.get(LIST).context["cl"].filter_specs[0]
    assert [name for _, name in spec.lookup_choices] == [
        "Kosovo",
        "United Kingdom",
        "United States of America",
        "Åland Islands",
    ]


def test_filter__countries_take_one_query_of_index_steps(django_assert_num_queries):
    GeoCache.objects.upsert(many_locations(300, country_code="GB"))
    a_row("9.9.9.9", country_code="US")
    with django_assert_num_queries(1):
        assert GeoCache.countries() == ["GB", "US"]


def test_filter__empty_table_has_no_countries(viewer):
    assert shown(viewer) == []
    assert GeoCache.countries() == []


def test_filter__by_country_and_answer(viewer):
    a_row("1.1.1.1", country_code="AU")
    a_row("9.9.9.9", country_code="US")
    a_row("8.8.8.8", country_code="", reason="not_found")
    assert shown(viewer, country="AU") == ["1.1.1.1"]
    assert set(shown(viewer, answer="found")) == {"1.1.1.1", "9.9.9.9"}
    assert shown(viewer, answer="empty") == ["8.8.8.8"]
    assert shown(viewer, country="AU", q="9.9.9.9") == []
    assert len(shown(viewer, answer="nonsense")) == 3


def test_filter__few_empty_answers_are_found_by_index(superuser):
    GeoCache.objects.upsert(many_locations(2000))
    a_row("8.8.8.8", country_code="", reason="not_found")
    changes = superuser.get(LIST, {"answer": "empty"}).context["cl"]
    plan = explain(changes.queryset)
    assert "geocache_unresolved" in plan or "geocache_country" in plan


# --- flush now -------------------------------------------------------------------------------


def break_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> BaseCache:
        raise OSError("connection refused")

    monkeypatch.setattr(caches, "current", fail)


def test_list__says_how_much_is_pending(superuser):
    journal.append(many_locations(3))
    response = superuser.get(LIST)
    assert "Pending: 3" in response.text
    assert not JournalHead.objects.exists()


def test_list__long_backlog_is_an_estimate(superuser, monkeypatch):
    monkeypatch.setattr(
        journal, "backlog", lambda _: journal.Backlog(answer_count=1_234_567, is_exact=False)
    )
    assert "Pending: about 1,234,567" in superuser.get(LIST).text


def test_list__cache_that_is_down_hides_only_the_number(superuser, monkeypatch):
    a_row()
    break_cache(monkeypatch)
    response = superuser.get(LIST)
    assert response.status_code == 200
    assert "Pending: unknown" in response.text
    assert LONDON in response.text
    assert_valid_html(response)


def test_list__viewer_sees_what_is_pending_but_no_button(viewer):
    journal.append(many_locations(3))
    text = viewer.get(LIST).text
    assert "Pending: 3" in text
    assert "Flush now" not in text


def test_flush_now__viewer_is_refused(viewer):
    journal.append(many_locations(3))
    with no_database_write(max_queries=6):
        assert viewer.post(FLUSH).status_code == 403
    assert not GeoCache.objects.exists()


@pytest.mark.parametrize("who", [None, a_stranger])
def test_flush_now__others_are_sent_to_log_in(client, who):
    if who:
        client.force_login(who())
    assert client.post(FLUSH).url.startswith("/admin/login/")


def test_flush_now__get_does_nothing(superuser):
    journal.append(many_locations(3))
    assert superuser.get(FLUSH).status_code == 405
    assert not GeoCache.objects.exists()


def test_flush_now__needs_the_token():
    client = Client(enforce_csrf_checks=True)
    client.force_login(an_admin())
    assert client.post(FLUSH).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_flush_now__writes_and_says_so(client):
    user = a_viewer()
    user.user_permissions.add(Permission.objects.get(codename="change_geocache"))
    client.force_login(user)
    assert "Flush now" in client.get(LIST).text
    journal.append(many_locations(3))
    response = client.post(FLUSH, follow=True)
    assert response.redirect_chain == [(LIST, 302)]
    [message] = said(response)
    assert re.fullmatch(r"3 flushed, 0 rejected, 0 pending, in \d+\.\d seconds\.", message)
    assert GeoCache.objects.count() == 3
    assert read_statistics().row_count == 3
    assert "Pending: 0" in response.text


@pytest.mark.django_db(transaction=True)
def test_flush_now__runs_outside_the_transaction_of_a_request(superuser, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    journal.append(many_locations(3))
    assert "3 flushed" in said(superuser.post(FLUSH, follow=True))[0]


@pytest.mark.django_db(transaction=True)
def test_flush_now__nothing_to_do_is_said(superuser):
    response = superuser.post(FLUSH, follow=True)
    assert said(response) == ["Nothing was waiting to be flushed."]


@pytest.mark.django_db(transaction=True)
def test_flush_now__rejected_entries_are_a_warning(superuser):
    journal._writer.append("no record")
    response = superuser.post(FLUSH, follow=True)
    [message] = response.context["messages"]
    assert message.level_tag == "warning"
    assert str(message).startswith("0 flushed, 1 rejected, 0 pending")


@pytest.mark.django_db(transaction=True)
def test_flush_now__time_limit_is_said(superuser, monkeypatch):
    report = admin.FlushReport(flushed=5, pending=7, timed_out=True, seconds=20.04)
    monkeypatch.setattr(admin, "flush_dirty", lambda _: report)
    [message] = superuser.post(FLUSH, follow=True).context["messages"]
    assert message.level_tag == "warning"
    assert str(message) == (
        "5 flushed, 0 rejected, 7 pending, in 20.0 seconds. Stopped by the time limit: flush again."
    )


@pytest.mark.django_db(transaction=True)
def test_flush_now__failure_is_one_line(superuser, monkeypatch):
    break_cache(monkeypatch)
    response = superuser.post(FLUSH, follow=True)
    assert response.status_code == 200
    assert said(response) == ["Not flushed: the cache cannot be reached: connection refused"]


# --- rejected entries ------------------------------------------------------------------------


def try_again(client: Client) -> Any:
    keys = list(RejectedEntry.objects.values_list("pk", flat=True))
    given = {"action": "try_again", "_selected_action": keys}
    return client.post(REJECTED, given, follow=True)


@pytest.mark.django_db(transaction=True)
def test_try_again__entries_are_journaled_and_then_in_the_table(superuser):
    a_rejected()
    a_rejected(dump_locations(many_locations(2)))
    assert said(try_again(superuser)) == [
        "2 entries are journaled again; the next flush tries them."
    ]
    assert not RejectedEntry.objects.exists()
    superuser.post(FLUSH)
    assert GeoCache.objects.count() == 3


def test_try_again__unreadable_record_stays(superuser):
    a_rejected("garbage")
    a_rejected()
    assert said(try_again(superuser)) == [
        "1 entry is journaled again; the next flush tries it.",
        "1 entry cannot be read by this release and stays here.",
    ]
    assert RejectedEntry.objects.get().record == "garbage"


def test_try_again__journal_that_is_away_leaves_the_entries(superuser, monkeypatch):
    a_rejected()
    a_rejected()
    break_cache(monkeypatch)
    [message] = said(try_again(superuser))
    assert message.startswith("The journal takes no more entries now: ")
    assert RejectedEntry.objects.count() == 2


def test_try_again__killed_in_between_loses_nothing(superuser, monkeypatch):
    def fail(*_: object) -> None:
        raise DatabaseError("gone")

    a_rejected()
    monkeypatch.setattr(RejectedEntry, "delete", fail)
    with pytest.raises(DatabaseError):
        try_again(superuser)
    assert journal.backlog(0).answer_count == 1
    assert RejectedEntry.objects.count() == 1


def test_try_again__viewer_may_not(viewer):
    a_rejected()
    assert "Try again" not in viewer.get(REJECTED).text
    try_again(viewer)
    assert RejectedEntry.objects.count() == 1
    assert journal.backlog(0).answer_count == 0


def test_rejected_entry__can_be_given_up(superuser):
    entry = a_rejected()
    assert superuser.post(f"{REJECTED}{entry.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not RejectedEntry.objects.exists()


def test_rejected_entry__cannot_be_changed(superuser):
    entry = a_rejected()
    response = superuser.post(f"{REJECTED}{entry.pk}/change/", {"record": "other"})
    assert response.status_code == 403
    assert RejectedEntry.objects.get().record == entry.record


def test_admin__knows_the_three_models_that_people_read():
    ours = {model.__name__ for model in site._registry if model._meta.app_label == "geocache"}
    assert ours == {"GeoCache", "FlushRun", "RejectedEntry"}
