import builtins
import importlib
import sys
from typing import Any

import pytest
from django.test import Client
from django.urls import path
from health_check.views import HealthCheckView

from geocache.health import parts
from geocache.integrations import health_check
from geocache.models import RejectedEntry
from geocache.status import DATABASE, Status
from tests.factories import use_dummy_provider

GEOCACHE = "geocache.integrations.health_check.GeocacheCheck"
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.integrations.test_health_check"),
]
urlpatterns = [
    path("ht/", HealthCheckView.as_view(checks=[GEOCACHE])),
    path("strict/", HealthCheckView.as_view(checks=[(GEOCACHE, {"is_strict": True})])),
]


@pytest.fixture(autouse=True)
def provider(settings: Any) -> None:
    use_dummy_provider(settings)


def asked(client: Client, url: str = "/ht/") -> tuple[int, dict[str, str]]:
    response = client.get(url, {"format": "json"})
    return response.status_code, response.json()


def test_geocache_check__is_well(client: Client) -> None:
    code, told = asked(client)
    assert (code, list(told.values())) == (200, ["OK"])


def test_geocache_check__a_warning_is_a_failure_only_where_that_is_wanted(client: Client) -> None:
    RejectedEntry.objects.create(record="?", error="?")
    assert asked(client)[0] == 200
    code, told = asked(client, "/strict/")
    assert code == 500
    assert list(told.values()) == ["Warning: warning: rejected"]


def test_geocache_check__what_is_critical_names_its_part_only(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Status(
        errors={DATABASE: "the database cannot be reached: host db.internal"},
        is_journal_possible=True,
    )
    monkeypatch.setattr(parts, "read", lambda: away)
    code, told = asked(client)
    assert code == 500
    assert list(told.values()) == ["Unavailable: critical: database"]


def test_health_check__without_the_package_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = builtins.__import__

    def refuse(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("health_check"):
            raise ModuleNotFoundError(name)
        return given(name, *rest, **options)

    monkeypatch.delitem(sys.modules, health_check.__name__)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"needs django-health-check 4 or later$"):
        importlib.import_module(health_check.__name__)
