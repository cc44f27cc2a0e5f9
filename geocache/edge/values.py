"""The fields of an answer, out of headers: each value is read whole, or left out."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import unquote

from geocache.continents import NAMES
from geocache.country_groups import CONTINENTS
from geocache.location import ZONE_NAME
from geocache.providers import coercion

# Encoded, a character takes up to twelve: %F0%9F%87%A9.
MAX_RAW_LENGTH: Final = 12 * coercion.MAX_TEXT_LENGTH
# Servers put a comma alone between the values of a header that was sent twice.
SEVERAL: Final = re.compile(r",(?! )|,\s*\Z|\A,")
DEGREES: Final = re.compile(r"-?[0-9]{1,3}(?:\.[0-9]{1,20})?")
WHOLE: Final = re.compile(r"[0-9]{1,10}")
SYSTEM: Final = re.compile(r"(?:AS)?([0-9]{1,10})", re.IGNORECASE)
# What follows the country in a code of ISO 3166-2.
REGION_CODE: Final = re.compile(r"(?:([A-Z]{2})-)?([A-Z0-9]{1,3})")
FIRST_LETTER: Final = re.compile(r"(?<![^\s-])\w")
# Of Nielsen's areas, which end below 1,000.
MAX_METRO_CODE: Final = 999
# What networks write instead of a country: Cloudflare's of Tor, and MaxMind's older ones.
TRAITS: Final = {
    "T1": "tor_exit_node",
    "A1": "anonymous_proxy",
    "A2": "satellite_provider",
}
# What is in a country, and says nothing without it.
PLACE: Final = frozenset(
    (
        *("region", "region_code", "city", "postal_code", "latitude", "longitude", "point"),
        *("time_zone", "metro_code"),
    )
)


class HeaderOf(Protocol):
    """Return the text that was sent for a field, None if none was."""

    def __call__(self, field: str, /) -> Any: ...


class HasHeaders(Protocol):
    """What names headers by field."""

    @property
    def headers(self) -> Mapping[str, str]: ...


def fields_of(network: HasHeaders, header_of: HeaderOf) -> dict[str, Any]:
    """Return the fields of ``Location`` that the headers of a request fill."""
    found: dict[str, Any] = {}
    for field in network.headers:
        raw = header_of(field)
        if raw and (value := READERS[field](raw)) not in ("", None):
            found[field] = value
    code = text_of(header_of("country_code")).upper() if "country_code" in network.headers else ""
    if code in TRAITS:
        found["traits"] = (TRAITS[code],)
    return _consistent(found)


def _consistent(found: dict[str, Any]) -> dict[str, Any]:
    """Return the fields without those that say nothing, or not the same as others."""
    country = found.get("country_code")
    if country is None:
        return {name: value for name, value in found.items() if name not in PLACE}
    if country in CONTINENTS:
        # It follows from the country, as in all other answers.
        found.pop("continent_code", None)
    if country != "US":
        # Elsewhere there are none. A network that writes no header hands on that of a visitor.
        found.pop("metro_code", None)
    code = found.pop("region_code", "")
    prefix, _, own = code.rpartition("-")
    if own and prefix in ("", country):
        found["region_code"] = f"{country}-{own}"
    point = found.pop("point", None) or (found.pop("latitude", None), found.pop("longitude", None))
    # Latitude 0 and longitude 0 are written for "unknown".
    if None not in point and any(point):
        found["latitude"], found["longitude"] = point
    return found


def text_of(raw: object) -> str:
    """Return the text of one header that was sent once, the empty text if it is not clean.

    Servers hand on the bytes of a header as Latin-1, whatever they are.
    """
    if not isinstance(raw, str) or len(raw) > MAX_RAW_LENGTH or SEVERAL.search(raw):
        return ""
    return _clean(raw)


def _clean(raw: str) -> str:
    try:
        text = raw.encode("latin-1").decode()
    except UnicodeError:
        # Latin-1 indeed, or text of a test client.
        text = raw
    if "%" in text:
        try:
            text = unquote(text, errors="strict")
        except UnicodeDecodeError:
            return ""
    text = text.strip()
    return text if text.isprintable() and len(text) <= coercion.MAX_TEXT_LENGTH else ""


def _name(raw: object) -> str:
    text = coercion.words(text_of(raw))
    return FIRST_LETTER.sub(_upper, text) if text.islower() else text


def _upper(match: re.Match[str]) -> str:
    letter = match[0].upper()
    # That of one letter may be two, as of the German sharp s.
    return letter if len(letter) == 1 else match[0]


def _words(raw: object) -> str:
    return coercion.words(text_of(raw))


def _short_words(raw: object) -> str:
    return coercion.short_words(text_of(raw))


def _country(raw: object) -> str:
    return coercion.country_code(text_of(raw))


def _continent(raw: object) -> str:
    code = text_of(raw).upper()
    return code if code in NAMES else ""


def _region_code(raw: object) -> str:
    code = text_of(raw).upper()
    return code if REGION_CODE.fullmatch(code) else ""


def _zone(raw: object) -> str:
    name = coercion.words(text_of(raw))
    return name if ZONE_NAME.fullmatch(name) else ""


def _degrees(text: str, limit: int) -> float | None:
    return coercion.number(float(text), limit) if DEGREES.fullmatch(text) else None


def _latitude(raw: object) -> float | None:
    return _degrees(text_of(raw), 90)


def _longitude(raw: object) -> float | None:
    return _degrees(text_of(raw), 180)


def _point(raw: object) -> tuple[float, float] | None:
    """Return latitude and longitude of ``51.5,-0.1``."""
    if not isinstance(raw, str) or len(raw) > MAX_RAW_LENGTH:
        return None
    parts = [one.strip() for one in _clean(raw).split(",")]
    if len(parts) != 2:
        return None
    latitude, longitude = _degrees(parts[0], 90), _degrees(parts[1], 180)
    return None if latitude is None or longitude is None else (latitude, longitude)


def _metro_code(raw: object) -> int | None:
    text = text_of(raw)
    return coercion.integer(int(text), MAX_METRO_CODE) or None if WHOLE.fullmatch(text) else None


def _asn(raw: object) -> int | None:
    match = SYSTEM.fullmatch(text_of(raw))
    return coercion.asn(int(match[1])) if match else None


# What a header may say, and how it is read. "point" is both coordinates with a comma in between.
READERS: Final[dict[str, Callable[[object], Any]]] = {
    "country_code": _country,
    "continent_code": _continent,
    "region": _name,
    "region_code": _region_code,
    "city": _name,
    "postal_code": _words,
    "latitude": _latitude,
    "longitude": _longitude,
    "point": _point,
    "time_zone": _zone,
    "metro_code": _metro_code,
    "asn": _asn,
    "organization": _words,
    "isp": _words,
    "connection_type": _short_words,
    "user_type": _short_words,
}
