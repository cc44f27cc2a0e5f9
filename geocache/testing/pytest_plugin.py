"""The plug-in of pytest: a fixture. In a run that has loaded it, nothing of the site is touched.

Pytest loads it in every project, so that it imports neither Django nor the rest of geocache.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, ParamSpec

import pytest

if TYPE_CHECKING:
    from geocache.testing import override

P = ParamSpec("P")


@pytest.fixture(name="override_locations")
def override_locations_fixture() -> "Iterator[Callable[..., override.override_locations]]":
    """Answer look-ups from a dict until the end of the test: ``override_locations({...})``.

    A second call takes the place of the first. Each returns what it is as a context manager.
    """
    from geocache.testing import override_locations  # noqa: PLC0415 - not in every project

    with ExitStack() as stack:
        yield _entering(override_locations, stack)


def _entering(
    make: "Callable[P, override.override_locations]", stack: ExitStack
) -> "Callable[P, override.override_locations]":
    def enter(*args: P.args, **kwargs: P.kwargs) -> "override.override_locations":
        return stack.enter_context(make(*args, **kwargs))

    return enter
