"""Logging in, on both pages: who fails too often waits."""

import logging

import pytest
from asgiref.sync import async_to_sync
from axes.handlers.proxy import AxesProxyHandler
from django.contrib.auth.models import User
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from project.lockout import NETWORK_FAILURE_LIMIT, WIDE_FAILURE_LIMIT
from tests.factories import LONDON, a_viewer, an_admin
from tests.support.assertions import WRITES, assert_is_page

pytestmark = [pytest.mark.any_services, pytest.mark.django_db]
PAGES = ["/login/", "/admin/login/"]
LIMIT = 10


def fail(client, page="/login/", times=1, names=("viewer",), **extra):
    """Fail so often, with each of the names in turn."""
    responses = [
        client.post(page, {"username": names[n % len(names)], "password": "wr0ng-secret"}, **extra)
        for n in range(times)
    ]
    return responses[-1]


def log_in(client, page="/login/", **extra):
    return client.post(page, {"username": "viewer", "password": "viewer"}, **extra)


@pytest.mark.parametrize("page", PAGES)
def test_log_in__ten_failures_and_one_has_to_wait(client, page):
    a_viewer()
    assert fail(client, page, LIMIT - 1).status_code == 200
    response = fail(client, page)
    assert_is_page(response, 429)
    assert "Wait 15 minutes, then try again." in response.text
    assert response["Retry-After"] == "900"
    # Now the right password does not help either, on neither page.
    for other in PAGES:
        assert log_in(client, other).status_code == 429
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("page", PAGES)
def test_log_in__nine_failures_are_forgiven(client, page):
    a_viewer()
    fail(client, page, LIMIT - 1)
    assert log_in(client, page).status_code == 302


def test_log_in__another_network_is_not_locked_out(client):
    a_viewer()
    fail(client, times=LIMIT)
    assert log_in(client).status_code == 429
    assert log_in(client, REMOTE_ADDR="192.0.2.7").status_code == 302


def test_log_in__another_address_of_the_same_64_is(client):
    a_viewer()
    fail(client, times=LIMIT, REMOTE_ADDR="2001:db8::1")
    assert log_in(client, REMOTE_ADDR="2001:db8::2").status_code == 429
    assert log_in(client, REMOTE_ADDR="2001:db8:0:1::1").status_code == 302


@pytest.mark.slow
def test_log_in__behind_an_untrusted_proxy_wrong_passwords_lock_out_their_name_only(client):
    """Ten wrong passwords of anyone locked everyone out: all had the proxy's address."""
    a_viewer()
    fail(client, times=5 * LIMIT, names=[f"name{n}" for n in range(10)])
    for remote in ("127.0.0.1", "", "10.0.0.1"):
        fail(client, times=LIMIT, names=["other"], REMOTE_ADDR=remote)
        assert log_in(client, REMOTE_ADDR=remote).status_code == 302


def test_log_in__one_who_guesses_does_not_lock_out_the_office(client):
    a_viewer()
    fail(client, times=LIMIT, names=["other"], REMOTE_ADDR=LONDON)
    assert log_in(client, REMOTE_ADDR=LONDON).status_code == 302


@pytest.mark.slow
def test_log_in__many_names_from_one_network_have_to_wait(client):
    a_viewer()
    names = [f"name{n}" for n in range(NETWORK_FAILURE_LIMIT)]
    assert fail(client, times=len(names) - 1, names=names, REMOTE_ADDR=LONDON).status_code == 200
    assert fail(client, names=["last"], REMOTE_ADDR=LONDON).status_code == 429
    assert log_in(client, REMOTE_ADDR=LONDON).status_code == 429
    assert log_in(client, REMOTE_ADDR="81.2.69.143").status_code == 302


@pytest.mark.slow
def test_log_in__networks_of_one_48_together_have_to_wait(client):
    """A /48 had 65,536 times nine attempts."""
    a_viewer()
    for n in range(WIDE_FAILURE_LIMIT):
        fail(client, REMOTE_ADDR=f"2a02:6b8:0:{n:x}::1")
    assert log_in(client, REMOTE_ADDR="2a02:6b8:0:ffff::1").status_code == 429
    assert log_in(client, REMOTE_ADDR="2a02:6b8:1::1").status_code == 302


def test_log_in__other_case_of_a_name_is_the_same_name(client):
    a_viewer()
    fail(client, times=LIMIT, names=["viewer", "Viewer", "VIEWER"])
    assert log_in(client).status_code == 429


def test_log_in__behind_a_proxy_it_is_the_visitor_who_waits(client, settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": ["127.0.0.1"]}
    a_viewer()
    fail(client, times=LIMIT, headers={"X-Forwarded-For": "81.2.69.142"})
    assert log_in(client, headers={"X-Forwarded-For": "81.2.69.142"}).status_code == 429
    assert log_in(client, headers={"X-Forwarded-For": "1.1.1.1, 81.2.69.142"}).status_code == 429
    assert log_in(client, headers={"X-Forwarded-For": "8.8.8.8"}).status_code == 302


def test_log_in__visitor_that_a_callable_of_the_project_names(client, settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "VISITOR_ADDRESS": "tests.support.visitors.told"}
    a_viewer()
    fail(client, times=LIMIT, headers={"Told": "2a02:6b8::1"})
    assert log_in(client, headers={"Told": "[2a02:6b8::2]:443"}).status_code == 429
    # Unknown: counted by name.
    assert fail(client, times=LIMIT, names=["other"]).status_code == 429
    assert log_in(client).status_code == 302


def test_log_in__forged_header_helps_nobody(client):
    a_viewer()
    for n in range(LIMIT):
        fail(client, headers={"X-Forwarded-For": f"8.8.8.{n}"})
    assert log_in(client, headers={"X-Forwarded-For": "9.9.9.9"}).status_code == 429


def test_log_in__all_processes_count_together(client):
    fail(client, times=LIMIT - 1)
    # Another process shares nothing but the cache.
    AxesProxyHandler.implementation = None
    assert fail(Client()).status_code == 429


@pytest.mark.parametrize("page", PAGES)
def test_log_in__failure_writes_nothing_to_the_database(client, page):
    a_viewer()
    with CaptureQueriesContext(connection) as queries:
        fail(client, page, LIMIT + 1)
    written = [query["sql"] for query in queries if query["sql"].upper().startswith(WRITES)]
    assert written == []


def test_log_in__no_password_is_logged(client, caplog):
    a_viewer()
    with caplog.at_level(logging.DEBUG):
        fail(client, times=LIMIT + 1)
    assert "login_locked_out" in caplog.text
    assert "wr0ng-secret" not in caplog.text


@pytest.mark.slow
def test_log_in__under_asgi():
    an_admin()
    client = AsyncClient()
    given = {"username": "admin", "password": "wrong"}

    async def attempts():
        return [(await client.post("/login/", given)).status_code for _ in range(LIMIT)]

    assert async_to_sync(attempts)()[-2:] == [200, 429]


@pytest.mark.parametrize("page", PAGES)
def test_log_in__needs_the_csrf_token(page):
    an_admin()
    browser = Client(enforce_csrf_checks=True)
    response = browser.post(page, {"username": "admin", "password": "admin"})
    assert_is_page(response, 403)
    assert User.objects.get().last_login is None


@pytest.mark.parametrize("page", PAGES)
def test_log_in__works_while_the_cache_is_down(client, settings, page):
    dead = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:1/0",
    }
    settings.CACHES = {**settings.CACHES, "geocache": dead}
    a_viewer()
    assert fail(client, page, LIMIT + 1).status_code == 200
    assert log_in(client, page).status_code == 302
