import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.http import HttpRequest

from geocache.management.demo_admin import prepare
from tests.factories import an_admin

pytestmark = pytest.mark.django_db


def test_prepare__makes_a_superuser() -> None:
    password = prepare().password
    user = authenticate(HttpRequest(), username="admin", password=password)
    assert isinstance(user, User)
    assert user.is_superuser


def test_prepare__is_another_one_the_second_time() -> None:
    first, second = prepare().password, prepare().password
    assert first != second
    assert authenticate(HttpRequest(), username="admin", password=first) is None
    assert authenticate(HttpRequest(), username="admin", password=second)
    assert User.objects.count() == 1


def test_prepare__leaves_the_admin_of_somebody_else_alone() -> None:
    an_admin()
    assert str(prepare()) == "There is a user admin already; its password stays as it is."
    assert authenticate(HttpRequest(), username="admin", password="admin")
