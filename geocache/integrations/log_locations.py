"""Country, operator and network in log records that hold an address, for structlog and ``logging``.

From the memory of the process or a hot entry, and from nothing else: no provider is asked, nothing
is journaled or noted, and no line waits for a cache that hangs.
"""

import logging
import sys
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from geocache.addresses import special_reason
from geocache.addresses.ports import parse_host
from geocache.exceptions import InvalidAddress
from geocache.integrations.hot_reader import reader
from geocache.location import Location

# Under these an address is looked for; the first that holds one counts.
KEYS: Final = (
    "address",
    "ip",
    "ip_address",
    "client_ip",
    "client_addr",
    "remote_ip",
    "remote_addr",
    "remote_address",
)
# What is added, and the field of an answer that it is.
ADDED: Final = {
    "country": "country_code",
    "asn": "asn",
    "operator": "organization",
    "network": "network",
}
# An IPv6 address with a zone, brackets and port is shorter.
MOST_CHARACTERS: Final = 100


def location_of(value: object) -> Location | None:
    """Return what this process knows of an address, also one with a port; None where nothing is.

    Raises what a cache raises, in tests only.
    """
    if isinstance(value, str):
        if len(value) > MOST_CHARACTERS:
            return None
    elif not isinstance(value, IPv4Address | IPv6Address):
        return None
    known = _recall(value)
    if known is None and (text := _public_text(str(value))):
        known = (_recall(text) if text != value else None) or reader.get(text)
    return known or None


def _recall(asked: Any) -> Location | None:
    # Never imported for a line: a process that has not looked anything up has no memory.
    memory = getattr(sys.modules.get("geocache.lookup.memory"), "memory", None)
    found: Location | None = memory.get(asked) if memory is not None else None
    return found


def _public_text(text: str) -> str:
    try:
        address = parse_host(text)
    except InvalidAddress:
        return ""
    return "" if special_reason(address) else str(address)


class Adder:
    """Which keys are read, and under which names what is known is added."""

    def __init__(self, keys: Iterable[str] = KEYS, *, prefix: str = "") -> None:
        if isinstance(keys, str):
            raise TypeError(f"keys is a text: use ({keys!r},)")
        self.keys = tuple(keys)
        self.names = tuple((prefix + name, field) for name, field in ADDED.items())

    def add(self, held: MutableMapping[str, Any], others: Sequence[Any] = ()) -> None:
        """Add what is known of the first address in ``held``, or of one of ``others``.

        Never raises, and never replaces what is there.
        """
        try:
            for key in self.keys:
                if key in held and (location := location_of(held[key])):
                    return self._put(held, location)
            for value in others:
                if location := location_of(value):
                    return self._put(held, location)
        except Exception:  # noqa: BLE001, S110 - a log line is never lost for it, nor makes another
            pass
        return None

    def _put(self, held: MutableMapping[str, Any], location: Location) -> None:
        for name, field in self.names:
            value = getattr(location, field)
            if value is not None and value != "":
                held.setdefault(name, value)


class LocationProcessor(Adder):
    """A processor of structlog."""

    def __call__(
        self, _: Any, __: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Add what is known of an address in an event."""
        self.add(event_dict)
        return event_dict


add_location: Final = LocationProcessor()


class LocationFilter(logging.Filter):
    """A filter of ``logging`` that lets every record through.

    ``args`` names values among the arguments of a record, as of access logs: keys of a mapping
    (gunicorn's ``"h"``), or places in a tuple (uvicorn's ``0``). ``default`` is what a record gets
    where nothing is known, for formats such as ``%(country)s``.
    """

    def __init__(
        self,
        keys: Iterable[str] = KEYS,
        *,
        prefix: str = "",
        args: Iterable[str | int] = (),
        default: str | None = None,
    ) -> None:
        super().__init__()
        self._adder = Adder(keys, prefix=prefix)
        self._args = tuple(args)
        self._default = default

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is known of an address in a record."""
        held = vars(record)
        self._adder.add(held, self._arguments(record.args) if self._args else ())
        if self._default is not None:
            for name, _ in self._adder.names:
                held.setdefault(name, self._default)
        return True

    def _arguments(self, given: Any) -> list[Any]:
        if isinstance(given, Mapping):
            return [given[name] for name in self._args if name in given]
        if isinstance(given, tuple):
            places = (one for one in self._args if isinstance(one, int))
            return [given[place] for place in places if place < len(given)]
        return []
