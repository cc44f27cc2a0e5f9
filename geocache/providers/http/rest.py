"""How long a service wants to be left alone, out of the headers of its answers.

``Retry-After`` with a refusal (RFC 9110), and a count of queries that has come to 0 together with
the time of its reset: ``RateLimit-*`` and ``X-RateLimit-*`` of many services, ``X-Rl`` and
``X-Ttl`` of ip-api.com.
"""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

# How long a service is left alone that does not say how long, in seconds.
REST_SECONDS: Final = 10.0
# The longest rest. What a service says is believed up to here.
MAX_REST_SECONDS: Final = 3600.0
# Statuses that mean "not now": a client that goes on is banned, which ip-api.com says with 403.
REFUSALS: Final = (403, 429)
# Statuses with which Retry-After is believed.
RETRIED: Final = (*REFUSALS, 503)
# The queries that are left, and when that count begins again.
COUNTS: Final = (
    ("RateLimit-Remaining", "RateLimit-Reset"),
    ("X-RateLimit-Remaining", "X-RateLimit-Reset"),
    ("X-Rl", "X-Ttl"),
)
# A reset above the first is not a number of seconds from now, but a Unix time; above the second,
# one in milliseconds.
EARLIEST_UNIX_TIME: Final = 10**9
EARLIEST_UNIX_MILLISECONDS: Final = 10**11


class Rest:
    """Until when a service is left alone by the threads of this process."""

    def __init__(self) -> None:
        self._until = 0.0

    def heed(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin a rest if an answer asks for one; one that has begun does not become shorter."""
        seconds = asked_seconds(status, headers)
        self._until = max(self._until, time.monotonic() + seconds)

    def left_seconds(self) -> float:
        return max(0.0, self._until - time.monotonic())


def asked_seconds(status: int, headers: Mapping[str, str]) -> float:
    """Return for how many seconds an answer asks to be left alone, at most an hour; 0: not at all.

    ``headers`` are found in upper and lower case, as ``requests`` and ``aiohttp`` give them.
    """
    asked = _retry_after(headers) if status in RETRIED else None
    if asked is None:
        asked = _until_reset(headers, is_refused=status in REFUSALS)
    if asked is None:
        asked = REST_SECONDS if status in REFUSALS else 0.0
    return min(asked, MAX_REST_SECONDS)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "")
    seconds = _count(text)
    if seconds is not None:
        return seconds
    at = _unix_time(text)
    # By the service's own clock, if it tells the time: ours may differ.
    now = _unix_time(headers.get("Date", "")) or time.time()
    return at - now if at is not None and at > now else None


def _until_reset(headers: Mapping[str, str], *, is_refused: bool) -> float | None:
    """Return the seconds until a count that has come to 0 begins again; None where none has.

    A refusal need not name the count: then it is the one whose reset it names.
    """
    resets = [
        _seconds_to(headers.get(reset, ""))
        for remaining, reset in COUNTS
        if _count(headers.get(remaining, "")) == 0
        or (is_refused and remaining not in headers and reset in headers)
    ]
    return max(resets, default=None)


def _seconds_to(reset: str) -> float:
    at = _count(reset)
    if at is None:
        return REST_SECONDS
    if at > EARLIEST_UNIX_MILLISECONDS:
        at /= 1000
    return max(0.0, at - time.time()) if at > EARLIEST_UNIX_TIME else at


def _count(text: str) -> float | None:
    text = text.strip()
    # Of digits beyond any time the first ones are enough.
    return float(text[:15]) if text.isascii() and text.isdigit() else None


def _unix_time(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (OverflowError, TypeError, ValueError):
        return None
