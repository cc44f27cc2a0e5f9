"""Every page of the admin, with every parameter that a person can forge."""

from datetime import UTC, datetime
from itertools import cycle, product
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.db import connection
from django.test import Client, RequestFactory
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from geocache.admin import parameters, rejected
from geocache.models import Ban, GeoCache, RejectedEntry
from tests.factories import LONDON, a_row, a_token, an_admin, many_locations, use_dummy_provider
from tests.support.admin_pages import LIST, REJECTED, a_rejected, a_run, said
from tests.support.blocklists import imported

# Not in one transaction: a text that PostgreSQL refuses would end it.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.cache_decides,
    pytest.mark.django_db(transaction=True),
    # A date without a time is one without a time zone.
    pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning"),
]

OURS = apps.get_app_config("geocache").get_models()
MODELS = [model for model in OURS if site.is_registered(model)]
NAMES = [model._meta.model_name for model in MODELS]
# Answers that are neither an error of the server nor something found.
REFUSED = {302, 400, 403, 404, 405}

HUGE = "9" * 20
VALUES = (
    "", "\0", "a\0b", "x", "-1", HUGE, "9" * 5000, "2026", "9999", "10000", "1e9", "2026-02-30",
    "9999-12-31 23:59:59+14:00", "0001-01-01", "\ud7ff\uffff😀", "' %[(", "a" * 10_000,
)  # fmt: skip
# Of every kind one: there are hundreds of filters.
FEW_VALUES = ("", "a\0b", "-1", HUGE, "9999", "\ud7ff\uffff😀")
READ_BY_OURS = ("q", "o", "p")
OF_THE_PAGE = ("e", "all", "_popup", "_to_field", "_facets", "_changelist_filters")
PARAMETERS = (*READ_BY_OURS, *OF_THE_PAGE)


@pytest.fixture
def pages(settings: Any) -> dict[str, str]:
    """Rows of every model, and the key of one of each."""
    use_dummy_provider(settings)
    imported("1.1.1.1", "5.6.7.0/24")
    Ban.objects.create(entry="5.6.7.0/24", banned_at=datetime.now(UTC))
    a_row()
    a_run()
    a_rejected()
    return {}


@pytest.fixture
def admin(client: Client, pages: dict[str, str]) -> Client:  # noqa: ARG001 - its rows
    user = an_admin()
    a_token(user)
    client.force_login(user)
    # What would be a page of the error 500 in production is one here, too.
    client.raise_request_exception = False
    return client


def lookups_of(name: str) -> list[str]:
    """Return each column of a model with what can be appended to it, and filters of its list."""
    model = MODELS[NAMES.index(name)]
    columns = [field.name for field in model._meta.get_fields()]
    suffixes = ("", "__exact", "__isnull", "__gte", "__lt", "__year", "__month", "__day", "__regex",
                "__startswith", "__in", "__id__exact", "__date", "__nothing")  # fmt: skip
    own = ["country", "asn", "answer", "nothing", "source__url", "user__password__startswith"]
    return [f"{column}{suffix}" for column in columns for suffix in suffixes] + own


@pytest.mark.parametrize("name", NAMES)
def test_lists__any_parameter_is_no_error_of_the_server(
    admin: Client, name: str, rf: RequestFactory
) -> None:
    url = f"/admin/geocache/{name}/"
    # A filter that is refused is so with every value: asked of the admin, as a page takes longer.
    page = site.get_model_admin(MODELS[NAMES.index(name)])
    filters = [one for one in lookups_of(name) if page.lookup_allowed(one, "x", rf.get(url))]
    # These make no condition of a query: no database changes them.
    others = OF_THE_PAGE if connection.vendor == "sqlite" else ()
    # Columns of a kind are alike: each of their filters gets two of the values, in turn.
    turns = cycle(FEW_VALUES)
    filtered = [(one, next(turns)) for one in filters for _ in range(2)]
    forged = [*product(READ_BY_OURS, VALUES), *product(others, FEW_VALUES), *filtered]
    wrong = [
        (parameter, value, response.status_code)
        for parameter, value in forged
        if (response := admin.get(url, {parameter: value})).status_code not in REFUSED | {200}
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "query",
    [
        {"resolved_at__year": HUGE},
        {"resolved_at__year": "9999"},
        {"resolved_at__year": "1"},
        {"resolved_at__year": "2026", "resolved_at__month": "13"},
        {"resolved_at__year": "2026", "resolved_at__month": "2", "resolved_at__day": "30"},
        {"resolved_at__year": "2026", "resolved_at__month": HUGE, "resolved_at__day": "x"},
        {"resolved_at__month": HUGE},
        {"resolved_at__year": ["2026", "x"]},
        {"country": "\0"},
        {"asn": HUGE},
        {"address": "x"},
    ],
)
@pytest.mark.parametrize("page", [LIST, f"{LIST}export/"])
def test_addresses__dates_and_filters_that_cannot_be_lead_back(
    admin: Client, page: str, query: Any
) -> None:
    assert admin.get(page, query).status_code in REFUSED | {200}


@pytest.mark.parametrize("name", NAMES)
def test_pages_of_a_row__key_that_cannot_be_is_not_found(admin: Client, name: str) -> None:
    keys = ("%00", "x", HUGE, "-1", "9" * 5000, "_00", "%F0%9F%98%80", "add")
    # All read a key alike: the others get half of the keys each.
    of_pages = {"change": keys, "delete": keys[::2], "history": keys[1::2]}
    for page, key in ((page, key) for page, some in of_pages.items() for key in some):
        url = f"/admin/geocache/{name}/{key}/{page}/"
        assert admin.get(url).status_code in REFUSED, key
        assert admin.post(url, {"post": "yes"}).status_code in REFUSED, key


# A setting has a history before it has a row.
KEYS = {"settingoverride": "TTL_5FSECONDS"}


@pytest.mark.parametrize("name", NAMES)
def test_history__any_page_is_no_error_of_the_server(admin: Client, name: str) -> None:
    row = MODELS[NAMES.index(name)]._default_manager.first()
    assert row is not None or name in ("answerhistory", "settingoverride")
    key = str(row.pk).replace("/", "_2F").replace(":", "_3A") if row else KEYS.get(name, "1")
    for value in VALUES:
        response = admin.get(f"/admin/geocache/{name}/{key}/history/", {"p": value})
        assert response.status_code in REFUSED | {200}, value


@pytest.mark.parametrize("name", NAMES)
def test_actions__forged_choices_are_no_error_of_the_server(admin: Client, name: str) -> None:
    url = f"/admin/geocache/{name}/"
    for value in FEW_VALUES:
        for action in ("delete_selected", "export_chosen", value):
            for extra in ({}, {"index": value, "select_across": value}):
                forged = {"action": action, "_selected_action": [value], **extra}
                assert admin.post(url, forged).status_code in REFUSED | {200}, forged


@pytest.mark.parametrize("page", ["flush", "forget", "export"])
def test_own_pages__any_parameter_is_no_error_of_the_server(admin: Client, page: str) -> None:
    for value in VALUES:
        given = {"_selected_action": [value], "q": value, "country": value}
        assert admin.post(f"{LIST}{page}/", given).status_code in REFUSED
        assert admin.get(f"{LIST}{page}/", given).status_code in REFUSED | {200}


def test_tokens__any_user_and_name_is_no_error_of_the_server(admin: Client) -> None:
    url = "/admin/geocache/apitoken/add/"
    for value in VALUES:
        for fields in ({"user": value, "name": "n"}, {"user": "", "name": value}):
            assert admin.get(url, fields).status_code in REFUSED | {200}
            assert admin.post(url, fields).status_code in REFUSED | {200}


any_text = (
    st.text(max_size=20) | st.integers().map(str) | st.datetimes().map(str) | st.floats().map(str)
)


@pytest.mark.parametrize("name", NAMES)
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None
)
@given(data=st.data())
def test_lists__any_query_is_no_error_of_the_server(admin: Client, name: str, data: Any) -> None:
    keys = st.sampled_from([*PARAMETERS, *lookups_of(name)]) | st.text(max_size=10)
    query = data.draw(st.dictionaries(keys, st.lists(any_text, max_size=2), max_size=4))
    assert admin.get(f"/admin/geocache/{name}/", query).status_code in REFUSED | {200}


# --- only what is listed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "lookup"),
    [
        ("importsource", "etag__startswith"),
        ("importsource", "holder__contains"),
        ("importsource", "url_digest__startswith"),
        ("importrun", "sha256__regex"),
        ("importrun", "source__etag__startswith"),
        ("apitoken", "digest__startswith"),
        ("apitoken", "user__password__startswith"),
        ("rejectedentry", "record__regex"),
        ("geocache", "city__regex"),
        ("geocache", "resolved_at__regex"),
    ],
)
def test_lookup_allowed__not_by_what_is_not_listed(admin: Client, name: str, lookup: str) -> None:
    assert admin.get(f"/admin/geocache/{name}/", {lookup: "a"}).status_code == 400


# The page of settings has no filters.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "settingoverride"])
def test_lookup_allowed__by_every_link_of_the_filters(admin: Client, name: str) -> None:
    url = f"/admin/geocache/{name}/"
    links = [
        choice["query_string"]
        for spec in admin.get(url).context["cl"].filter_specs
        for choice in spec.choices(admin.get(url).context["cl"])
    ]
    for link in links:
        assert admin.get(url + link).status_code == 200, link


def test_lookup_allowed__by_the_date_hierarchy(admin: Client) -> None:
    at = GeoCache.objects.get().resolved_at
    query = {f"resolved_at__{part}": getattr(at, part) for part in ("year", "month", "day")}
    for length in (1, 2, 3):
        response = admin.get(LIST, dict(list(query.items())[:length]))
        assert [row.address for row in response.context["cl"].result_list] == [LONDON]


def test_changelist__bug_without_parameters_is_not_hidden(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(parameters.ChangeList, "get_results", fail)
    assert admin.get(REJECTED).status_code == 500


# --- how many at once ------------------------------------------------------------------------


def test_actions__all_of_a_long_list_are_not_held_at_once(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "CHOSEN_LIMIT", 2)
    at = datetime.now(UTC)
    Ban.objects.bulk_create(Ban(entry=f"9.9.9.{n}", banned_at=at) for n in range(3))
    given = {"action": "delete_selected", "_selected_action": "9.9.9.1", "select_across": "1"}
    response = admin.post("/admin/geocache/ban/", given, follow=True)
    assert said(response) == ["Choose at most 2 rows at a time. Nothing was done."]


def test_actions__export_of_all_is_not_limited(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "CHOSEN_LIMIT", 2)
    GeoCache.objects.upsert(many_locations(3))
    given = {"action": "export_chosen", "_selected_action": LONDON, "select_across": "1"}
    lines = b"".join(admin.post(LIST, given).streaming_content).splitlines()  # type: ignore[attr-defined]  # of a download
    assert len(lines) == 5


def test_try_again__is_bounded_in_time_and_in_memory(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejected, "TRY_AGAIN_SECONDS", -1)
    monkeypatch.setattr(rejected, "PAGE_ENTRIES", 2)
    for _ in range(4):
        a_rejected()
    keys = list(RejectedEntry.objects.values_list("pk", flat=True))
    given = {"action": "try_again", "_selected_action": keys[:1], "select_across": "1"}
    assert said(admin.post(REJECTED, given, follow=True)) == [
        "Stopped by the time limit: try the rest again.",
        "2 entries are journaled again; the next flush tries them.",
    ]
    assert RejectedEntry.objects.count() == 3
