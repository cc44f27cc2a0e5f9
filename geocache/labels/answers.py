"""The labels of addresses and answers that are about to be shown."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from msgspec.structs import replace

from geocache.labels.follow import of_this_process
from geocache.labels.names import label_of
from geocache.location import Location
from geocache.models import ListedAddress


def labels_of(address: str) -> tuple[str, ...]:
    """Return the labels of a normalised address, sorted; none of what is not an address."""
    return of_this_process.current().labels_of(address)


def labelled(locations: Iterable[Location]) -> list[Location]:
    """Return the answers with the labels of their addresses among the traits.

    An answer that gets no new trait is the same object.
    """
    index = of_this_process.current()
    if not index:
        return list(locations)
    return [_with_traits(one, index.labels_of(one.address)) for one in locations]


def label_names() -> list[str]:
    """Return the labels that lists give, sorted."""
    of_this_process.current()
    return sorted({*of_this_process.labels.values()})


def given_to(address: IPv4Address | IPv6Address) -> dict[str, list[str]]:
    """Return the labels of an address, each with the names of the lists that give it.

    From the table, with one query.
    """
    found: dict[str, list[str]] = {}
    entries = ListedAddress.objects.listed().holding(address)
    for name, by_hand in entries.values_list("source__name", "source__label"):
        label = label_of(name, by_hand)
        if label and name not in found.setdefault(label, []):
            found[label].append(name)
    return dict(sorted(found.items()))


def _with_traits(location: Location, labels: tuple[str, ...]) -> Location:
    if not labels or set(labels).issubset(location.traits):
        return location
    return replace(location, traits=tuple(sorted({*location.traits, *labels})))
