from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory

from geocache.monitoring_access import has_address, has_token, may_see_details
from tests.factories import a_viewer

TOKEN = "0123456789abcdef-ü"
pytestmark = pytest.mark.any_services


def a_request(**meta: str) -> Any:
    request = RequestFactory().get("/", **meta)
    request.user = AnonymousUser()
    return request


def use(settings: Any, **given: object) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, **given}


def test_may_see_details__nothing_is_open_by_default() -> None:
    assert not may_see_details(a_request(REMOTE_ADDR="127.0.0.1"))
    assert not may_see_details(a_request(HTTP_AUTHORIZATION="Bearer "))


@pytest.mark.django_db
def test_may_see_details__a_user_who_may_see_addresses() -> None:
    request = a_request()
    request.user = a_viewer()
    assert may_see_details(request)


def test_may_see_details__without_users_in_the_project(settings: Any) -> None:
    request = RequestFactory().get("/")
    assert not may_see_details(request)
    use(settings, METRICS_ADDRESSES=["127.0.0.0/8"])
    assert may_see_details(request)


@pytest.mark.parametrize(
    ("header", "is_right"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN} ", True),
        (f"Bearer {TOKEN}x", False),
        (f"Basic {TOKEN}", False),
        (TOKEN, False),
        ("Bearer", False),
        ("", False),
    ],
)
def test_has_token__only_the_whole_text_counts(settings: Any, header: str, is_right: bool) -> None:
    use(settings, METRICS_TOKEN=TOKEN)
    as_server_reads_it = header.encode().decode("latin-1")
    assert has_token(a_request(HTTP_AUTHORIZATION=as_server_reads_it)) is is_right


@pytest.mark.parametrize(
    ("meta", "is_right"),
    [
        ({"REMOTE_ADDR": "10.1.2.3"}, True),
        ({"REMOTE_ADDR": "::ffff:10.1.2.3"}, True),
        ({"REMOTE_ADDR": "2001:db8::1"}, True),
        ({"REMOTE_ADDR": "81.2.69.142"}, False),
        ({"REMOTE_ADDR": ""}, False),
        # What a visitor writes into the header.
        ({"REMOTE_ADDR": "81.2.69.142", "HTTP_X_FORWARDED_FOR": "10.1.2.3"}, False),
        # All visitors of a proxy that is not trusted have its address.
        ({"REMOTE_ADDR": "10.1.2.3", "HTTP_X_FORWARDED_FOR": "81.2.69.142"}, False),
        # One that is trusted.
        ({"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "10.1.2.3"}, True),
        ({"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "10.1.2.3, 81.2.69.142"}, False),
    ],
)
def test_has_address__is_that_of_the_visitor(
    settings: Any, meta: dict[str, str], is_right: bool
) -> None:
    named = ["10.0.0.0/8", "2001:db8::/32"]
    use(settings, METRICS_ADDRESSES=named, TRUSTED_PROXIES=["192.0.2.1"])
    assert has_address(a_request(**meta)) is is_right


def test_has_address__a_callable_of_the_project_decides_alone(settings: Any) -> None:
    use(
        settings,
        METRICS_ADDRESSES=["10.0.0.0/8"],
        VISITOR_ADDRESS="tests.support.visitors.told",
    )
    assert has_address(a_request(HTTP_TOLD="10.1.2.3", HTTP_X_FORWARDED_FOR="81.2.69.142"))
    assert not has_address(a_request(REMOTE_ADDR="10.1.2.3"))


def test_has_address__what_is_not_a_network_is_refused(settings: Any) -> None:
    use(settings, METRICS_ADDRESSES=["localhost"])
    with pytest.raises(ImproperlyConfigured, match="METRICS_ADDRESSES"):
        has_address(a_request())
