"""Labels that lists give to addresses: traits beside those that providers state."""

from collections.abc import Iterable

from geocache.location import Location
from geocache.models import GeoCacheQuerySet


def labels_of(address: str) -> tuple[str, ...]:
    """Return the labels of a normalised address, sorted."""
    return ()


def labelled(locations: Iterable[Location]) -> list[Location]:
    """Return the answers with the labels of their addresses among the traits."""
    return list(locations)


def label_names() -> list[str]:
    """Return the labels that lists give, sorted."""
    return []


def rows_with(rows: GeoCacheQuerySet, label: str) -> GeoCacheQuerySet:
    """Return those rows whose address is on a list with this label."""
    return rows.none()


def counts() -> dict[str, int]:
    """Return how many addresses each label has."""
    return {}
