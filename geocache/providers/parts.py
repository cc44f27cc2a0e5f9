"""The fields of an answer that hold several values, as each provider has to give them.

A provider of a project may give a list, a set or a dict, and in it what no record and no row can
hold: it would be refused when it is read again, and with it the answer.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from geocache.location import LENGTHS, NO_DETAILS, Details, Location, Subdivision
from geocache.providers.coercion import mapping, words
from geocache.providers.maxmind_layout import MAX_SUBDIVISIONS
from geocache.providers.network_kinds import plain_value, sorted_traits
from geocache.traits import LABEL

# More than any product states.
MAX_DETAILS: Final = 50
NONE: Final = ()


def put_sound(answers: dict[str, Location], addresses: Iterable[str]) -> None:
    """Replace the answers for ``addresses`` that hold several values in a wrong form."""
    for address in addresses:
        answer = answers.get(address)
        # Nearly all have these very objects.
        if answer is None or (
            answer.details is NO_DETAILS and answer.traits is NONE and answer.subdivisions is NONE
        ):
            continue
        answers[address] = replace(
            answer,
            traits=_traits(answer.traits),
            subdivisions=_subdivisions(answer.subdivisions),
            details=_details(answer.details),
        )


def _each(value: Any) -> Iterator[Any]:
    """Give the values of a list or the like; a text is one value."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        yield from value
    else:
        yield value


def _traits(given: Any) -> tuple[str, ...]:
    return sorted_traits(one for one in map(words, _each(given)) if LABEL.fullmatch(one))


def _subdivisions(given: Any) -> tuple[Subdivision, ...]:
    parts = list(map(_subdivision, _each(given)))
    return tuple(part for part in parts if part.code or part.name)[:MAX_SUBDIVISIONS]


def _subdivision(part: Any) -> Subdivision:
    if isinstance(part, Subdivision):
        given: Mapping[str, Any] = {"code": part.code, "name": part.name}
    else:
        given = mapping(part) or {"name": part}
    code = words(given.get("code"))
    is_code = len(code) <= LENGTHS["region_code"]
    return Subdivision(code if is_code else "", words(given.get("name")))


def _details(given: Any) -> Details:
    if not isinstance(given, Mapping):
        return NO_DETAILS
    plain = ((words(name), plain_value(value)) for name, value in given.items())
    held = [(name, value) for name, value in plain if name and value is not None]
    return Details.of(dict(held[:MAX_DETAILS]))
