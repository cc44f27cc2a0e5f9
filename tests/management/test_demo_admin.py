import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.http import HttpRequest

from geocache.management.demo_admin import one_time_password
from tests.factories import an_admin

pytestmark = pytest.mark.django_db


def test_one_time_password__makes_a_superuser() -> None:
    password = one_time_password()
    user = authenticate(HttpRequest(), username="admin", password=password)
    assert isinstance(user, User)
    assert user.is_superuser


def test_one_time_password__is_another_one_the_second_time() -> None:
    first, second = one_time_password(), one_time_password()
    assert first != second
    assert authenticate(HttpRequest(), username="admin", password=first) is None
    assert authenticate(HttpRequest(), username="admin", password=second)
    assert User.objects.count() == 1


def test_one_time_password__leaves_the_admin_of_somebody_else_alone() -> None:
    an_admin()
    assert one_time_password() == ""
    assert authenticate(HttpRequest(), username="admin", password="admin")
