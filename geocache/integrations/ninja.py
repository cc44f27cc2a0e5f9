"""The schema of a ``Location`` for Django Ninja, made from the type that ``to_plain()`` returns.

@api.get("/here", response=LocationSchema)
def here(request):
    return request.geo
"""

from collections.abc import Callable
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

from geocache import extras
from geocache.api import fields
from geocache.location import Location, LocationDict, SubdivisionDict
from geocache.models import GeoCache

with extras.needed("ninja"):
    from ninja import Schema
    from pydantic import Field, create_model, model_validator


def _to_plain(value: Any) -> Any:
    if isinstance(value, GeoCache):
        value = value.to_location()
    return value.to_plain() if isinstance(value, Location) else value


class _FromAnswer(Schema):
    # Around the validator of Ninja, which reads attributes.
    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, value: Any, handler: Callable[[Any], Any]) -> Any:
        """Take an answer, or a row, as well as what it is in JSON."""
        return handler(_to_plain(value))


def _model(kind: type, name: str, base: type[Schema], meanings: dict[str, fields.Field]) -> Any:
    """Return a model with the fields of a ``TypedDict``, each with what it means."""
    described: dict[str, Any] = {
        field: (_annotation(hint), Field(description=meanings[field].meaning))
        for field, hint in get_type_hints(kind).items()
    }
    return create_model(name, __base__=base, __module__=__name__, **described)


def _annotation(hint: Any) -> Any:
    """Return the type of a field, with the model of what is a ``TypedDict`` in it."""
    if is_typeddict(hint):
        return SubdivisionSchema
    if get_origin(hint) is list:
        return list[_annotation(get_args(hint)[0])]  # type: ignore[misc]  # a type made here
    return hint


SubdivisionSchema = _model(
    SubdivisionDict, "SubdivisionSchema", Schema, fields.FIELDS | fields.BY_COMPONENT["Subdivision"]
)
LocationSchema = _model(LocationDict, "LocationSchema", _FromAnswer, fields.LOCATION)
