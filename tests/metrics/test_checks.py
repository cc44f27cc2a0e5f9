from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.urls import include, path

from geocache import extras
from geocache.exceptions import MissingExtra
from geocache.metrics.checks import check_page

urlpatterns = [path("", include("geocache.metrics.urls"))]
WITHOUT = "django.contrib.auth.urls"
ADDRESS = {"METRICS_ADDRESSES": ["10.0.0.1"]}
pytestmark = pytest.mark.any_services


def ids() -> list[str | None]:
    found: list[CheckMessage] = check_page()
    return [one.id for one in found]


def use(settings: Any, urls: str, **given: Any) -> None:
    settings.ROOT_URLCONF = urls
    settings.GEOCACHE = {**settings.GEOCACHE, **given}


@pytest.mark.parametrize(
    ("urls", "given", "expected"),
    [
        ("project.urls", {}, []),
        ("project.urls", ADDRESS, []),
        (__name__, {}, ["geocache.W078"]),
        (__name__, ADDRESS, []),
        (__name__, {"METRICS_TOKEN": "x" * 20}, []),
    ],
)
def test_check_page__that_a_program_may_read_it(
    settings: Any, urls: str, given: dict[str, Any], expected: list[str]
) -> None:
    use(settings, urls, **given)
    assert ids() == expected


@pytest.mark.parametrize(
    ("urls", "given", "is_wanted"),
    [
        ("project.urls", {}, False),
        ("project.urls", ADDRESS, True),
        (WITHOUT, ADDRESS, False),
        (__name__, ADDRESS, True),
    ],
)
def test_check_page__that_the_extra_is_there(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    urls: str,
    given: dict[str, Any],
    *,
    is_wanted: bool,
) -> None:
    absent = MissingExtra("prometheus_client", "metrics")
    monkeypatch.setattr(extras, "missing", lambda *_: absent)
    use(settings, urls, **given)
    assert ids() == (["geocache.W077"] if is_wanted else [])


def test_check_page__says_nothing_where_the_settings_cannot_be_read(settings: Any) -> None:
    settings.GEOCACHE = {"NO_SUCH": 1}
    assert ids() == []
