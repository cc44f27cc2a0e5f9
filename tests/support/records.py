"""Records of database files with one wrong value."""

from collections.abc import Iterator
from typing import Any


def in_every_field(record: Any, value: object, *, is_leaf_only: bool = False) -> Iterator[Any]:
    """Give copies of a record with ``value`` in place of each of its parts, however deep.

    ``is_leaf_only`` leaves objects and lists as they are.
    """
    if not (is_leaf_only and isinstance(record, dict | list)):
        yield value
    if isinstance(record, dict):
        for name, part in record.items():
            for bad in in_every_field(part, value, is_leaf_only=is_leaf_only):
                yield {**record, name: bad}
    elif isinstance(record, list):
        for place, part in enumerate(record):
            for bad in in_every_field(part, value, is_leaf_only=is_leaf_only):
                yield [*record[:place], bad, *record[place + 1 :]]
