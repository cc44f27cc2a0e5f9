"""What a test says of addresses and networks: checked when it is written down."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any, Final, get_type_hints

from msgspec.structs import asdict

from geocache.addresses import WIDEST_PREFIX_LENGTHS, parse_address, parse_network
from geocache.country_groups import completed
from geocache.exceptions import InvalidAddress, ProviderError
from geocache.location import (
    FIELDS,
    LENGTHS,
    NOT_FOUND,
    PLAIN,
    Details,
    Location,
    Subdivision,
)
from geocache.providers import coercion
from geocache.providers.coercion import MAX_TEXT_LENGTH

# A location, its fields, the code of a country, a failure, or nothing that is known.
Answer = Location | Mapping[str, Any] | str | Exception | None
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# What a test can say of an address, and what names the source where it says nothing.
NAMES: Final = tuple(name for name in FIELDS if name != "address")
SOURCE: Final = "override_locations"
KINDS: Final[dict[Any, tuple[str, tuple[type, ...]]]] = {
    str: ("a text", (str,)),
    datetime: ("a datetime with a time zone", (datetime,)),
    int | None: ("a whole number, or None", (int, type(None))),
    float | None: ("a number, or None", (float, int, type(None))),
    bool: ("True or False", (bool,)),
    tuple[str, ...]: ("a list of texts", (list, tuple, set, frozenset)),
    tuple[Subdivision, ...]: ("a list of Subdivision", (list, tuple)),
    Details: ("a dict of plain values", (Mapping,)),
}
FORMS: Final = ("country_code", "network")
RANGES: Final[dict[str, tuple[Callable[[object, int], object], int]]] = {
    "latitude": (coercion.number, 90),
    "longitude": (coercion.number, 180),
    "accuracy_radius_km": (coercion.integer, 2**15 - 1),
    "asn": (coercion.integer, 2**32 - 1),
    "metro_code": (coercion.integer, 2**31 - 1),
}


class Answers:
    """The answers by network; of several networks around an address the narrowest counts."""

    def __init__(self, given: Mapping[Any, Answer]) -> None:
        if not isinstance(given, Mapping):
            raise TypeError(
                f"override_locations needs a dict of answers by address or network, not {given!r}."
            )
        self._answers: dict[tuple[int, int, int], Prepared] = {}
        for key, answer in given.items():
            network = _network_of(key)
            place = _place(network.network_address, network.prefixlen)
            if place in self._answers:
                raise ValueError(f"override_locations: {network} is named twice, also as {key!r}.")
            self._answers[place] = Prepared(str(key), answer, network)
        self._lengths = {
            version: sorted({one[1] for one in self._answers if one[0] == version}, reverse=True)
            for version in (4, 6)
        }

    def find(self, address: Address) -> "Prepared | None":
        """Return the answer for an address, or None where it is not named."""
        places = (_place(address, length) for length in self._lengths[address.version])
        return next((self._answers[place] for place in places if place in self._answers), None)


class Prepared:
    """One answer, for any address that it stands for."""

    def __init__(self, label: str, answer: Answer, network: Network | None = None) -> None:
        self._failure = answer if isinstance(answer, Exception) else None
        self._fields = {} if self._failure else _fields(label, answer)
        if network and not isinstance(answer, Location) and _is_given_out(network):
            self._fields.setdefault("network", str(network))

    def location(self, address: str) -> Location:
        """Return the location of ``address``; raise ``ProviderError`` where that is the answer."""
        if isinstance(self._failure, ProviderError):
            raise self._failure.with_traceback(None)
        if self._failure:
            raise ProviderError(str(self._failure) or repr(self._failure)) from self._failure
        fields = {"resolved_at": datetime.now(UTC), "source": SOURCE, **self._fields}
        return Location(address=address, **completed(fields))


def _network_of(key: object) -> Network:
    try:
        if isinstance(key, IPv4Network | IPv6Network) or (isinstance(key, str) and "/" in key):
            return parse_network(str(key))
        return ip_network(parse_address(key))  # type: ignore[arg-type]  # others are refused
    except InvalidAddress as error:
        said = f"override_locations: {key!r:.60} is neither an IP address nor a network."
        raise InvalidAddress(said) from error


def _is_given_out(network: Network) -> bool:
    """Tell whether a provider may name this network: not a single address, nor a wider one."""
    widest = WIDEST_PREFIX_LENGTHS[network.version]
    return widest <= network.prefixlen < network.max_prefixlen


def _place(address: Address, length: int) -> tuple[int, int, int]:
    return address.version, length, int(address) >> address.max_prefixlen - length


def _fields(label: str, answer: object) -> dict[str, Any]:
    match answer:
        case None:
            return {"reason": NOT_FOUND}
        case Location():
            fields = {name: value for name, value in asdict(answer).items() if name != "address"}
            return fields | _checked(label, {name: fields[name] for name in NAMES})
        case str():
            return {"country_code": _country_code(label, answer)}
        case Mapping():
            return _checked(label, answer)
    hint = " Give an instance of it." if isinstance(answer, type) else ""
    raise TypeError(
        f"override_locations: the answer for {label} is {answer!r:.60}; it has to be a Location, a "
        f"dict of its fields, a country's code of two letters, an exception, or None.{hint}"
    )


def _checked(label: str, fields: Mapping[Any, Any]) -> dict[str, Any]:
    if unknown := [str(name) for name in fields if name not in NAMES]:
        raise ValueError(
            f"override_locations: the answer for {label} has no field {', '.join(unknown)}. "
            f"Known: {', '.join(NAMES)}."
        )
    hints = get_type_hints(Location)
    for name, value in fields.items():
        words, types = KINDS[hints[name]]
        is_right = isinstance(value, types) and (bool in types or not isinstance(value, bool))
        if isinstance(value, datetime) and value.tzinfo is None:
            is_right = False
        if not (is_right and _are_parts_right(hints[name], value)):
            said = f"{name} of {label} is {value!r:.60}; it has to be {words}."
            raise TypeError(f"override_locations: {said}")
        if not _is_storable(name, value):
            said = f"{name} of {label} is {value!r:.60}, which no table and no database takes."
            raise ValueError(f"override_locations: {said}")
    checked = {**fields, **_parts(fields)}
    if code := checked.get("country_code"):
        checked["country_code"] = _country_code(label, code)
    if network := checked.get("network"):
        checked["network"] = _network_text(label, network)
    return checked


def _are_parts_right(kind: Any, value: Any) -> bool:
    """Tell whether a field that holds several values holds the right ones."""
    if kind == tuple[str, ...]:
        return all(isinstance(one, str) for one in value)
    if kind == tuple[Subdivision, ...]:
        return all(isinstance(one, Subdivision) for one in value)
    if kind is Details:
        return all(isinstance(name, str) for name in value) and all(
            isinstance(one, PLAIN) for one in value.values()
        )
    return True


def _parts(fields: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the fields that hold several values as an answer has them."""
    parts: dict[str, Any] = {}
    if "traits" in fields:
        parts["traits"] = tuple(sorted(set(fields["traits"])))
    if "subdivisions" in fields:
        parts["subdivisions"] = tuple(fields["subdivisions"])
    if "details" in fields:
        parts["details"] = Details.of(fields["details"])
    return parts


def _is_storable(name: str, value: Any) -> bool:
    """Tell whether the table can take a value: an answer that a provider gives is no other."""
    if isinstance(value, str):
        # Of a code or a network that is too long is said more below.
        longest = MAX_TEXT_LENGTH if name in FORMS else LENGTHS.get(name, MAX_TEXT_LENGTH)
        return coercion.text(value) == value and len(value) <= longest
    if value is None or name not in RANGES:
        return True
    read, limit = RANGES[name]
    return read(value, limit) is not None


def _network_text(label: str, text: str) -> str:
    try:
        return str(parse_network(text))
    except InvalidAddress as error:
        said = f"override_locations: network of {label} is {text!r:.60}, which is not a network."
        raise ValueError(said) from error


def _country_code(label: str, text: str) -> str:
    if len(text) == 2 and text.isascii() and text.isalpha():
        return text.upper()
    said = f"{text!r:.60} of {label} is not a country's code of two letters, such as GB."
    raise ValueError(f"override_locations: {said}")
