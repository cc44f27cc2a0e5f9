import re

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session

from geocache.models import ApiToken
from tests.factories import a_stranger, a_token, a_viewer, an_admin
from tests.support.assertions import assert_valid_html

pytestmark = pytest.mark.django_db
LIST = "/admin/geocache/apitoken/"
ADD = f"{LIST}add/"


def may(user, *names):
    user.user_permissions.add(
        *Permission.objects.filter(codename__in=[f"{name}_apitoken" for name in names])
    )
    return user


def make(client, **fields):
    response = client.post(ADD, {"name": "a program", **fields})
    assert response.status_code == 200
    return response, re.search(r">(geocache_[\w-]{43})</textarea>", response.text)[1]


@pytest.fixture
def token_owner(client):
    user = may(a_viewer(), "add", "delete")
    client.force_login(user)
    return user


def test_api_token__is_shown_once_and_works(client, token_owner):
    response, token = make(client)
    assert_valid_html(response)
    assert "no-store" in response["Cache-Control"]
    assert ApiToken.objects.get().user == token_owner
    assert token not in client.get(LIST).text
    assert token not in client.get(f"{LIST}{ApiToken.objects.get().pk}/change/").text
    client.logout()
    answer = client.get("/api/lookup/10.0.0.1", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


@pytest.mark.usefixtures("token_owner")
def test_api_token__is_kept_nowhere(client):
    response, token = make(client)
    assert ApiToken.objects.get().digest != token
    assert not any(token in cookie.value for cookie in response.cookies.values())
    assert not any(token in str(session.get_decoded()) for session in Session.objects.all())


def test_api_token__viewer_makes_it_for_nobody_else(client, token_owner):
    other = an_admin()
    make(client, user=other.pk)
    assert ApiToken.objects.get().user == token_owner


def test_api_token__viewer_sees_only_their_own(client, token_owner):
    a_token(an_admin(), "the admin's program")
    a_token(token_owner, "my program")
    text = client.get(LIST).text
    assert "my program" in text
    assert "the admin&#x27;s program" not in text
    other = ApiToken.objects.get(name="the admin's program")
    assert client.get(f"{LIST}{other.pk}/delete/").status_code == 302


def test_api_token__superuser_chooses_a_user(client):
    client.force_login(an_admin())
    user = a_viewer()
    make(client, user=user.pk)
    assert ApiToken.objects.get().user == user
    assert "a program" in client.get(LIST).text


def test_api_token__nobody_changes_one(client):
    client.force_login(an_admin())
    a_token(a_viewer())
    url = f"{LIST}{ApiToken.objects.get().pk}/change/"
    assert client.get(url).status_code == 200
    assert client.post(url, {"name": "other"}).status_code == 403


def test_api_token__is_revoked_by_deleting(client, token_owner):
    a_token(token_owner)
    client.post(f"{LIST}{ApiToken.objects.get().pk}/delete/", {"post": "yes"})
    assert not ApiToken.objects.exists()


def test_api_token__without_permission_none_is_made(client):
    client.force_login(a_viewer())
    assert client.get(ADD).status_code == 403
    client.force_login(a_stranger())
    assert client.post(ADD, {"name": "x"}).status_code == 302
    assert not ApiToken.objects.exists()


def test_api_token__two_are_never_the_same():
    user = a_viewer()
    assert a_token(user) != a_token(user)
    assert len(set(ApiToken.objects.values_list("digest", flat=True))) == 2


def test_tokens__no_page_lists_all_users(superuser):
    User.objects.bulk_create(User(username=f"user{n}") for n in range(30))
    assert "user29" not in superuser.get("/admin/geocache/apitoken/add/").text
