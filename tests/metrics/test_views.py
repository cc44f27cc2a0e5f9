from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed

from geocache.exceptions import MissingExtra
from geocache.metrics import views
from tests.support.assertions import WRITES

TOKEN = "a-secret-of-this-test"
urlpatterns = [path("", include("geocache.metrics.urls"))]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def monitoring(settings: Any) -> Client:
    """A program that has the token."""
    settings.GEOCACHE = {**settings.GEOCACHE, "METRICS_TOKEN": TOKEN}
    return Client(headers={"Authorization": f"Bearer {TOKEN}"})


@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
def test_page__a_program_with_the_token(monitoring: Client, path: str) -> None:
    response = monitoring.get(path)
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain")
    assert "geocache_part_up" in response.text
    assert "no-store" in response["Cache-Control"]
    assert not response.cookies


def test_page__is_openmetrics_where_that_is_asked_for(monitoring: Client) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"
    response = monitoring.get("/metrics", headers={"Accept": accept})
    assert response["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert "geocache_part_up" in {one.name.removesuffix("_info") for one in parsed(response.text)}


@pytest.mark.parametrize("version", ["x", "1.x", '"'])
def test_page__a_version_that_is_no_number_is_the_plain_text(
    monitoring: Client, version: str
) -> None:
    accept = f"application/openmetrics-text;version={version}"
    response = monitoring.get("/metrics", headers={"Accept": accept})
    assert response.status_code == 200


def test_page__head_has_no_body(monitoring: Client) -> None:
    response = monitoring.head("/metrics")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_page__other_methods_are_refused(monitoring: Client, method: str) -> None:
    assert getattr(monitoring, method)("/metrics").status_code == 405


def test_page__a_user_who_may_see_addresses(viewer: Client) -> None:
    assert viewer.get("/metrics").status_code == 200


@pytest.mark.parametrize("sent", ["", "Bearer ", "Bearer another"])
@pytest.mark.usefixtures("monitoring")
def test_page__a_stranger_is_told_one_line(sent: str) -> None:
    response = Client(headers={"Authorization": sent} if sent else {}).get("/metrics")
    assert response.status_code == 403
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response.text.count("\n") == 1
    assert "geocache_" not in response.text


@pytest.mark.usefixtures("monitoring")
def test_page__a_stranger_costs_no_query(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        Client().get("/metrics")


def test_page__writes_nothing_to_the_database(monitoring: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        monitoring.get("/metrics")
    assert not [one for one in queries if one["sql"].lstrip().startswith(WRITES)]


def test_page__without_the_extra_says_what_to_install(
    monitoring: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise MissingExtra("prometheus_client", "metrics")

    monkeypatch.setattr(views, "load_renderer", fail)
    response = monitoring.get("/metrics")
    assert response.status_code == 501
    assert response.text == (
        'prometheus_client is not installed; install geocache with the extra "metrics"\n'
    )


def test_page__is_not_the_host_s_registry(monitoring: Client) -> None:
    assert "python_info" not in monitoring.get("/metrics").text


@pytest.mark.urls("project.urls")
def test_page__comes_with_the_pages(monitoring: Client) -> None:
    assert monitoring.get("/metrics").status_code == 200
