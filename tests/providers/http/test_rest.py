"""When a service wants to be left alone, by the headers that services document."""

from email.utils import formatdate

import pytest
import requests
from multidict import CIMultiDict

from geocache.providers.http import rest as rest_module
from geocache.providers.http.rest import MAX_REST_SECONDS, REST_SECONDS, Rest, asked_seconds

NOW = 1_764_355_200.0
KINDS = [requests.structures.CaseInsensitiveDict, CIMultiDict]


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    class Clock:
        passed = 0.0

        def time(self):
            return NOW + self.passed

        def monotonic(self):
            return self.passed

    clock = Clock()
    monkeypatch.setattr(rest_module, "time", clock)
    return clock


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (200, {}, 0),
        (500, {}, 0),
        (401, {}, 0),
        (429, {}, REST_SECONDS),
        (403, {}, REST_SECONDS),
        (503, {}, 0),
        # --- Retry-After
        (429, {"Retry-After": "47"}, 47),
        (429, {"retry-after": " 47 "}, 47),
        (403, {"Retry-After": "47"}, 47),
        (503, {"Retry-After": "47"}, 47),
        (200, {"Retry-After": "47"}, 0),
        (429, {"Retry-After": "0"}, 0),
        (429, {"Retry-After": ""}, REST_SECONDS),
        (429, {"Retry-After": "-1"}, REST_SECONDS),
        (429, {"Retry-After": "soon"}, REST_SECONDS),
        (429, {"Retry-After": "²"}, REST_SECONDS),
        (429, {"Retry-After": "9" * 5000}, MAX_REST_SECONDS),
        (429, {"Retry-After": formatdate(NOW + 47, usegmt=True)}, 47),
        (429, {"Retry-After": formatdate(NOW + 10**6, usegmt=True)}, MAX_REST_SECONDS),
        (429, {"Retry-After": formatdate(NOW - 47, usegmt=True)}, REST_SECONDS),
        (429, {"Retry-After": "Wed, 99 Oct 2026 07:28:00 GMT"}, REST_SECONDS),
        # By the clock of the service, which is an hour behind.
        (
            429,
            {
                "Retry-After": formatdate(NOW - 3553, usegmt=True),
                "Date": formatdate(NOW - 3600, usegmt=True),
            },
            47,
        ),
        (429, {"Retry-After": formatdate(NOW + 47, usegmt=True), "Date": "today"}, 47),
        # --- a count that has come to 0
        (200, {"X-Rl": "0", "X-Ttl": "47"}, 47),
        (200, {"X-Rl": "1", "X-Ttl": "47"}, 0),
        (429, {"X-Rl": "0", "X-Ttl": "47"}, 47),
        (429, {"X-Rl": "0", "X-Ttl": "47", "Retry-After": "5"}, 5),
        (403, {"X-Rl": "0", "X-Ttl": "47"}, 47),
        (429, {"X-Ttl": "47"}, 47),
        (403, {"X-Ttl": "47"}, 47),
        (429, {"RateLimit-Reset": "47"}, 47),
        (429, {"X-Rl": "3", "X-Ttl": "47"}, REST_SECONDS),
        (429, {"X-Ttl": "soon"}, REST_SECONDS),
        (500, {"X-Ttl": "47"}, 0),
        (200, {"X-Rl": "0"}, REST_SECONDS),
        (200, {"X-Ttl": "47"}, 0),
        (200, {"RateLimit-Remaining": "0", "RateLimit-Reset": "47"}, 47),
        (200, {"RateLimit-Remaining": "9", "RateLimit-Reset": "47"}, 0),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "47"}, 47),
        (200, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW + 47:.0f}"}, 47),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{NOW + 47:.0f}000"}, 47),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{NOW - 47:.0f}"}, 0),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 5000}, MAX_REST_SECONDS),
        (200, {"X-RateLimit-Remaining": "", "X-RateLimit-Reset": "47"}, 0),
        (200, {"X-RateLimit-Remaining": "none", "X-RateLimit-Reset": "47"}, 0),
        (
            200,
            {
                "RateLimit-Remaining": "0",
                "RateLimit-Reset": "7",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": "47",
            },
            47,
        ),
    ],
)
def test_asked_seconds__as_long_as_the_headers_say_within_bounds(kind, status, headers, seconds):
    assert asked_seconds(status, kind(headers)) == pytest.approx(seconds)


def test_rest__lasts_as_long_as_asked_for(clock):
    rest = Rest()
    assert rest.left_seconds() == 0
    rest.heed(429, {"Retry-After": "47"})
    clock.passed = 46.0
    assert rest.left_seconds() == 1
    clock.passed = 47.0
    assert rest.left_seconds() == 0


def test_rest__does_not_become_shorter():
    rest = Rest()
    rest.heed(429, {"Retry-After": "47"})
    rest.heed(429, {})
    rest.heed(200, {})
    assert rest.left_seconds() == 47
