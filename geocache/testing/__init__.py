"""Answers of your own in a host's tests: ``override_locations``, and a plug-in for pytest."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geocache.testing.override import override_locations

__all__ = ["override_locations"]


def __getattr__(name: str) -> Any:
    # When it is first used: pytest loads the plug-in of this package in every project.
    if name == "override_locations":
        from geocache.testing.override import override_locations  # noqa: PLC0415 - as above

        return override_locations
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
