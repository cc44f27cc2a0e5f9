"""One error for what any cache library raises, while bugs of our own code pass."""

import time
import traceback
from types import TracebackType

from django.core.cache import BaseCache

from geocache.cache import backends
from geocache.cache.circuit_breaker import CircuitBreaker
from geocache.exceptions import CacheUnavailable, GeocacheError, MissingExtra


def guarded(*, fails_fast: bool = True) -> "Guarded":
    """Give the cache in a ``with`` statement, and raise ``CacheUnavailable``.

    A look-up fails fast while the circuit breaker is open; a flush takes its time.
    """
    return Guarded(backends.breaker if fails_fast else None)


def get(key: str) -> object:
    """Return what the cache has under one key, None if nothing; raise ``CacheUnavailable``.

    What ``guarded`` and a ``get`` in it do, in two thirds of the time.
    """
    started = time.monotonic()
    backends.breaker.check(started)
    try:
        return backends.get(backends.current(), key)
    except Exception as error:
        _fail(error, backends.breaker, started)
        raise


def guarded_selected() -> "Guarded":
    """Give the cache whose journal is at hand (``backends.using``), as a flush uses it."""
    return _GuardedSelected(None)


class Guarded:
    """One use of the cache. A class, as ``contextlib`` takes more than twice as long."""

    __slots__ = ("_breaker", "_started")

    def __init__(self, breaker: CircuitBreaker | None) -> None:
        self._breaker = breaker

    def __enter__(self) -> BaseCache:
        self._started = time.monotonic()
        if self._breaker is not None:
            self._breaker.check(self._started)
        try:
            return backends.current()
        except Exception as error:
            _fail(error, self._breaker, self._started)
            raise

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            _fail(error, self._breaker, self._started)


def _fail(error: Exception, breaker: CircuitBreaker | None, started: float) -> None:
    """Raise ``CacheUnavailable`` for what a cache library raises; the caller raises the rest."""
    if is_bug(error):
        return
    if breaker is not None:
        breaker.record_failure(started)
    # Django imports it when its cache is first used.
    if isinstance(error, ModuleNotFoundError) and error.name == "redis":
        error = MissingExtra("redis", "redis")
    if not isinstance(error, GeocacheError) or isinstance(error, MissingExtra):
        raise CacheUnavailable(str(error)) from error


class _GuardedSelected(Guarded):
    """One use of the cache of ``backends.using``: apart, as look-ups must not pay for it."""

    __slots__ = ()

    def __enter__(self) -> BaseCache:
        self._started = time.monotonic()
        try:
            return backends.selected()
        except Exception as error:
            _fail(error, None, self._started)
            raise


def is_bug(error: Exception) -> bool:
    """Tell whether our own code raised a built-in error, such as ``TypeError``.

    A cache library raises errors of its own, or ``OSError``. What built-in errors it raises on a
    value that it cannot decode come out of its own code.
    """
    if isinstance(error, OSError) or type(error).__module__ != "builtins":
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "geocache"
