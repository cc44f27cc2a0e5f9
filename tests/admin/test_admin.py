import pytest
from django.apps import apps
from django.contrib.admin import site

from geocache.models import GeoCache
from tests.factories import (
    LONDON,
    a_row,
    a_stranger,
    a_viewer,
    an_admin,
)
from tests.support.admin_pages import LIST, LIST_QUERIES, REJECTED, RUNS, a_rejected, a_run
from tests.support.assertions import assert_valid_html, no_database_write

pytestmark = pytest.mark.django_db


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


def test_admin__knows_the_models_that_people_use():
    models = apps.get_app_config("geocache").get_models()
    ours = {model.__name__ for model in models if site.is_registered(model)}
    lists = {"Ban", "ImportRun", "ImportSource", "ListedAddress"}
    others = {"ApiToken", "SettingOverride"}
    assert ours == {"FlushRun", "AnswerHistory", "GeoCache", "RejectedEntry", *lists, *others}
