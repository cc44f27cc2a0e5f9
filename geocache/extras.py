"""Optional packages: what is missing is said in one line, with the extra that brings it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec

from geocache.exceptions import MissingExtra


@contextmanager
def needed(extra: str) -> Iterator[None]:
    """Import what ``extra`` brings in this block; raise ``MissingExtra`` where it is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "a package", extra) from error


@cache
def is_installed(module: str) -> bool:
    """Tell whether a top-level module is there, without importing it."""
    return find_spec(module) is not None


def missing(extra: str, *modules: str) -> MissingExtra | None:
    """Return what to say of the first of ``modules`` that is not there, None when all are."""
    absent = (MissingExtra(one, extra) for one in modules if not is_installed(one))
    return next(absent, None)
