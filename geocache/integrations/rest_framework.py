"""Locations in serializers of Django REST framework.

class VisitSerializer(serializers.ModelSerializer):
    geo = IPLocationField(source="ip", fields=["country_code", "city"])
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import QuerySet

from geocache import extras
from geocache.addresses import normalise
from geocache.exceptions import InvalidAddress
from geocache.labels import labelled
from geocache.location import Location, LocationDict
from geocache.lookup import lookup_many

with extras.needed("drf"):
    from rest_framework import serializers

NAMES = frozenset(LocationDict.__annotations__)


class LocationField(serializers.Field):  # type: ignore[misc]  # the package has no types
    """Shows a ``Location``, or a row of ``GeoCache``, as ``Location.to_plain()`` does.

    ``fields`` names those that are shown; all where it is left out. It is read-only.
    """

    def __init__(self, *, fields: Collection[str] | None = None, **options: Any) -> None:
        if isinstance(fields, str) or (unknown := sorted(set(fields or ()) - NAMES)):
            raise ValueError(f"fields names what a location does not have: {fields or unknown}")
        self.names = None if fields is None else tuple(fields)
        super().__init__(read_only=True, **options)

    def to_representation(self, value: Any) -> dict[str, Any]:
        location = value if isinstance(value, Location) else value.to_location()
        plain: Mapping[str, Any] = location.to_plain()
        return {name: plain[name] for name in self.names or plain}


class IPLocationField(LocationField):
    """Shows where the address is that an attribute (``source``) holds; null if it holds none.

    The addresses of a list (``many=True``) are looked up in one batch.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._known: dict[str, Location] = {}

    def to_representation(self, value: Any) -> dict[str, Any] | None:  # type: ignore[override]
        address = _address(value)
        if not address:
            return None
        if address not in self._known:
            self._known = _located({address, *self._addresses_of_the_list()})
        return super().to_representation(self._known[address])

    def _addresses_of_the_list(self) -> Iterable[str]:
        """Return the addresses of all objects that are shown beside this one."""
        every = getattr(self.parent, "parent", None)
        if not isinstance(every, serializers.ListSerializer):
            return
        shown = every.instance
        # Others, such as a generator, can be read once.
        if not isinstance(shown, list | tuple | QuerySet):
            return
        for one in shown:
            try:
                yield _address(self.get_attribute(one))
            except (AttributeError, LookupError, ObjectDoesNotExist, serializers.SkipField):
                # It is told of this object, when its turn comes.
                continue


def _located(addresses: Iterable[str]) -> dict[str, Location]:
    found = lookup_many({one for one in addresses if one})
    return {one.address: one for one in labelled(found.values())}


def _address(value: Any) -> str:
    """Return the canonical text of an address, or the empty text."""
    try:
        return normalise(value)
    except InvalidAddress:
        return ""
