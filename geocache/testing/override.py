"""``override_locations``, used as Django's ``override_settings``: context manager and decorator."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, Self, TypeVar
from unittest import TestCase

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from geocache.testing.answers import Answer, Answers, Prepared

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

# Under this name a class of tests keeps its overrides, those of its base classes first.
OVERRIDES: Final = "_overridden_locations"


@dataclass(slots=True, eq=False)
class _Run:
    """One time that an override was entered."""

    stack: ExitStack
    is_over: bool = False


# The innermost last. Tasks that run at once may leave them in any order.
_running: Final[list[_Run]] = []


class override_locations:  # noqa: N801 - named as Django's override_settings
    """Answer look-ups from ``locations`` instead of a provider, apart from all else.

    Keys are addresses and networks, the narrowest network counts; answers are a ``Location``, a
    dict of its fields, a country's code of two letters, None (nothing is known), or an exception
    (the provider fails). Addresses that are not named have the answer ``default``; with
    ``passthrough`` the provider is asked that would have been without this.

    Cache, journal and memory are new and in this process, whatever the settings say, and gone after
    it. A class of tests has those of its own in each of its tests.
    """

    def __init__(
        self,
        locations: Mapping[Any, Answer] | None = None,
        *,
        default: Answer = None,
        passthrough: bool = False,
    ) -> None:
        if passthrough and default is not None:
            raise ValueError("override_locations takes default or passthrough, not both.")
        self._answers = Answers({} if locations is None else locations)
        self._default = Prepared("default", default)
        self._passthrough = passthrough
        self._looked_up: list[str] = []
        # It may be entered again inside of itself, as by a class and its tests.
        self._entered: list[tuple[_Run, list[str]]] = []

    @property
    def looked_up(self) -> list[str]:
        """The addresses that the provider was asked for since it was last entered, in order."""
        return self._looked_up

    def __enter__(self) -> Self:
        if not apps.is_installed("geocache"):
            raise ImproperlyConfigured('override_locations needs "geocache" in INSTALLED_APPS.')
        # These import the models, which have to be loaded before.
        from geocache.providers import factory  # noqa: PLC0415 - as above
        from geocache.testing.isolation import isolated  # noqa: PLC0415 - as above
        from geocache.testing.provider import OverrideProvider  # noqa: PLC0415 - as above

        behind = factory.current() if self._passthrough else None
        provider = OverrideProvider(self._answers, self._default, behind=behind)
        with ExitStack() as stack:
            stack.enter_context(isolated(provider))
            run = _Run(stack.pop_all())
        _running.append(run)
        self._entered.append((run, self._looked_up))
        self._looked_up = provider.looked_up
        return self

    def __exit__(self, *_: object) -> None:
        run, outer = self._entered.pop()
        run.is_over = True
        # Not before those that were entered inside of it: what they put back would stay for good.
        while _running and _running[-1].is_over:
            _running.pop().stack.close()
        if self._entered:
            self._looked_up = outer

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    def __call__(self, decorated: Decorated) -> Decorated:
        """Decorate a function, also an async one, a method, or a class of ``unittest``."""
        made: Any = self._decorated(decorated)
        return made  # type: ignore[no-any-return]  # what is decorated keeps its type

    def _decorated(self, decorated: Any) -> Any:
        if isinstance(decorated, staticmethod | classmethod):
            return type(decorated)(self._decorated(decorated.__func__))
        if isinstance(decorated, type):
            return self._decorated_class(decorated)
        if not callable(decorated):
            raise TypeError(
                f"override_locations decorates functions and classes, not {decorated!r:.60}."
            )
        return _wrapped(self, decorated)

    def _decorated_class(self, decorated: type) -> type:
        if not issubclass(decorated, TestCase):
            raise TypeError(
                "override_locations decorates classes of unittest and Django only; have a class of "
                "pytest use the fixture override_locations, or decorate its methods."
            )
        inherited = getattr(decorated, OVERRIDES, ())
        setattr(decorated, OVERRIDES, (*inherited, self))
        if not inherited:
            _enter_with_class(decorated)
            _enter_with_each_test(decorated)
        return decorated


def _wrapped(override: override_locations, function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def in_coroutine(*args: Any, **kwargs: Any) -> Any:
            with override:
                return await function(*args, **kwargs)

        return in_coroutine
    if inspect.isasyncgenfunction(function):

        @wraps(function)
        async def in_async_generator(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            with override:
                async for one in function(*args, **kwargs):
                    yield one

        return in_async_generator
    if inspect.isgeneratorfunction(function):
        # A fixture of pytest, for one: until it is torn down.
        @wraps(function)
        def in_generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with override:
                yield from function(*args, **kwargs)

        return in_generator

    @wraps(function)
    def in_function(*args: Any, **kwargs: Any) -> Any:
        with override:
            return function(*args, **kwargs)

    return in_function


def _enter_with_class(decorated: Any) -> None:
    """Have the answers in ``setUpClass`` and ``setUpTestData``, too."""
    set_up = decorated.setUpClass.__func__

    @wraps(set_up)
    def set_up_class(cls: type[TestCase]) -> None:
        for override in getattr(cls, OVERRIDES):
            cls.enterClassContext(override)
        set_up(cls)

    decorated.setUpClass = classmethod(set_up_class)


def _enter_with_each_test(decorated: Any) -> None:
    """Have each test begin with nothing looked up, as its database is rolled back."""
    for name in ("run", "debug"):
        setattr(decorated, name, _with_overrides(getattr(decorated, name)))


def _with_overrides(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def with_overrides(self: TestCase, *args: Any, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            for override in getattr(self, OVERRIDES):
                stack.enter_context(override)
            return method(self, *args, **kwargs)

    return with_overrides
