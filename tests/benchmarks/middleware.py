"""A page with ``GeoMiddleware``: what does it cost when nobody reads ``request.geo``?"""

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import include, path

from geocache.lookup import lookup
from geocache.web.views.lookup import lookup_page
from tests.benchmarks.measure import Answer, Effort, cost, in_turn, timed

ADDRESS = "81.2.69.142"
GEO = "geocache.middleware.GeoMiddleware"


def reading_page(request: Any) -> HttpResponse:
    """Show the same page, but ask where the visitor is."""
    assert request.geo.country_code
    return lookup_page(request)


# Both where Django finds them at once: to pass by the app's other pages takes longer than to read
# ``request.geo``.
urlpatterns = [
    path("plain/", lookup_page),
    path("reading/", reading_page),
    path("", include("geocache.urls")),
]


# Requests between two changes of turn, and turns for each round of the other questions: what is
# looked for is small beside what a noisy machine does in a second.
COUNT = 20
TURNS = 60


def measure(effort: Effort) -> list[Answer]:
    without = [name for name in settings.MIDDLEWARE if name != GEO]
    figures = in_turn(
        {
            "with it, read": _asked("/reading/", [*without, GEO]),
            "without the middleware": _asked("/plain/", without),
            "with it, not read": _asked("/plain/", [*without, GEO]),
        },
        effort.scaled(TURNS * effort.rounds, 2),
    )
    own, peer, unread = figures.values()
    bars = [
        cost("of the page without, when it is read", own, peer, 1.02),
        cost("of the page without, when it is not", unread, peer, 1.02),
    ]
    return [
        Answer("A page with request.geo, known address, processor time", [own, peer, unread], bars)
    ]


def _asked(url: str, middleware: list[str]) -> Callable[[], float]:
    """Return how to measure a request for ``url``, from the first middleware to the response."""
    public = {**settings.GEOCACHE, "PUBLIC_LOOKUP": True}
    given = override_settings(
        ROOT_URLCONF=__name__, MIDDLEWARE=middleware, GEOCACHE=public, ALLOWED_HOSTS=["*"]
    )
    handler = BaseHandler()
    with given:
        handler.load_middleware()
    factory = RequestFactory(REMOTE_ADDR=ADDRESS)

    def ask() -> None:
        assert handler.get_response(factory.get(url)).status_code == 200

    def loop() -> None:
        for _ in range(COUNT):
            ask()

    def work() -> float:
        with given:
            # The settings that have just changed have emptied the memory.
            lookup(ADDRESS)
            ask()
            return timed(loop, time.process_time) / COUNT

    return work
