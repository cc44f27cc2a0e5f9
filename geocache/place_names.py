"""City and region in another language, as the open databases have them; no provider is asked.

What is stored is in one language (``LOCALES``), and look-ups know of no other. A page finds the
record again that an answer is from, which takes some microseconds, and reads the other names there.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import get_language
from msgspec.structs import replace

from geocache.languages import is_language, keys_of
from geocache.licences.texts import parts_of
from geocache.location import Location, Subdivision
from geocache.providers import factory
from geocache.providers.base import Source
from geocache.providers.coercion import country_code, mapping, name_keys, words

# Of an answer, what has a name in the record.
NAMED: Final = ("city", "region", "subdivisions")


def language_of(text: str) -> str:
    """Return the code of a language that a client names; raise ``ValueError`` for nonsense.

    Any that is well formed is one: where nothing has a name in it, names stay as they are stored.
    """
    if not is_language(text):
        raise ValueError("Name a language by its code, as de or pt-BR.")
    return text.lower()


def shown(locations: Iterable[Location]) -> list[Location]:
    """Return the answers as a page shows them: with names in the reader's language."""
    language = get_language()
    return [in_language(one, language) for one in locations]


def in_language(location: Location, language: str | None) -> Location:
    """Return the answer with city, region and subdivisions in a language such as ``de``.

    What has no name in it stays as it is; so does what a newer database says otherwise.
    """
    keys = keys_of(language) if language else ()
    if not keys or not any(getattr(location, field) for field in NAMED):
        return location
    changes: dict[str, Any] = {}
    for source, record in _records(location.address, keys):
        given = [field for field in NAMED if _has_given(source, location, field)]
        if given and isinstance(record, dict):
            changes = _names(location, record, given, keys) | changes
    return _changed(location, changes) if changes else location


def _changed(location: Location, changes: dict[str, Any]) -> Location:
    if type(location) is Location:
        return replace(location, **changes)
    # One that is made when it is used, as a context processor of a project may give it.
    fields = {name: getattr(location, name) for name in Location.__struct_fields__}
    return Location(**fields | changes)


def _records(address: str, keys: tuple[str, ...]) -> Iterator[tuple[Source, object]]:
    """Give what the open databases hold; nothing where names are stored in the language already."""
    try:
        provider = factory.current()
    except ImproperlyConfigured:
        return
    if name_keys()[0] not in keys:
        for leaf in provider.leaves():
            yield from leaf.records(address)


def _has_given(source: Source, location: Location, field: str) -> bool:
    """Tell whether an answer has a field from a database, of whatever day."""
    if not getattr(location, field):
        return False
    # Of one source, or from a release that did not tell them apart: any of them.
    givers = location.field_sources.get(field) if location.given_by else None
    names = _names_in(givers or location.source)
    return source.name in names or source.type_name in names


@lru_cache(maxsize=256)
def _names_in(source: str) -> frozenset[str]:
    """Return the names in the ``source`` of an answer, without the days."""
    return frozenset(part.name for part in parts_of(source))


def _names(
    location: Location, record: dict[str, Any], given: list[str], keys: tuple[str, ...]
) -> dict[str, Any]:
    """Return the fields that are given, in the language; none if the record is of another place.

    That is told by the names that are stored: where the record has names for a field, the stored
    one has to be among them, in any language.
    """
    if _country(record) not in ("", location.country_code):
        return {}
    held = record.get("subdivisions")
    regions = [_words_of(one) for one in held] if isinstance(held, list) else []
    city = [_words_of(record.get("city"))]
    found: dict[str, Any] = {}
    for field, places in (("city", city), ("region", regions)):
        if field in given and any(places):
            found[field] = _named(getattr(location, field), places, keys)
    if None in found.values():
        return {}
    if "subdivisions" in given:
        found["subdivisions"] = tuple(
            Subdivision(one.code, _named(one.name, regions, keys) or one.name)
            for one in location.subdivisions
        )
    return found


def _country(record: dict[str, Any]) -> str:
    country = mapping(record.get("country")) or mapping(record.get("registered_country"))
    return country_code(country.get("iso_code"))


def _words_of(part: object) -> dict[str, str]:
    """Return the names of a place by their keys: texts that can be shown."""
    names = mapping(mapping(part).get("names"))
    return {key: found for key, name in names.items() if (found := words(name))}


def _named(stored: str, places: list[dict[str, str]], keys: tuple[str, ...]) -> str | None:
    """Return in the language the name of the place that has the ``stored`` one, else None."""
    for names in places:
        if stored in names.values():
            return next((names[key] for key in keys if key in names), stored)
    return None
