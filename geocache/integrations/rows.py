"""Answers for a whole page of rows, in one batch."""

from collections.abc import Iterable
from typing import Any, TypeVar

from geocache.addresses import normalise
from geocache.exceptions import InvalidAddress
from geocache.lookup import lookup_many

Row = TypeVar("Row")


def attach_locations(rows: Iterable[Row], field: str, *, name: str = "geo") -> list[Row]:
    """Give each row the ``Location`` of the address in its ``field``, and return the rows.

    A row is an object, or a dict such as ``QuerySet.values()`` gives. The answer becomes its
    attribute (or key) ``name``; it is None where the field is empty or holds no address.
    """
    listed = list(rows)
    addresses = [_address(_value(row, field)) for row in listed]
    answers = lookup_many({address for address in addresses if address})
    for row, address in zip(listed, addresses, strict=True):
        answer = answers[address] if address else None
        if isinstance(row, dict):
            row[name] = answer
        else:
            setattr(row, name, answer)
    return listed


def _value(row: Any, field: str) -> Any:
    return row[field] if isinstance(row, dict) else getattr(row, field)


def _address(value: Any) -> str:
    """Return the canonical text of an address, or the empty text."""
    try:
        return normalise(value)
    except InvalidAddress:
        return ""
