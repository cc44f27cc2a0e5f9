"""The system check of a ``LocatedModel``: what its attributes name is there."""

from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.exceptions import FieldDoesNotExist
from django.db import models

from geocache.located.field import LocationField


def check_names(model: type[Any]) -> list[CheckMessage]:
    """Check that the attributes of a ``LocatedModel`` name fields of the right kind."""
    hint = "See LocatedModel in docs/integration.md."
    return [
        Error(f"{model.__name__}.{problem}", obj=model, hint=hint, id="geocache.E066")
        for problem in name_problems(model)
    ]


def name_problems(model: type[Any]) -> list[str]:
    """Return what is wrong with the names, each in one line."""
    problems = []
    location, country = _column(model, "location"), _column(model, "country_code")
    if not isinstance(location, LocationField):
        problems.append("location is a field of another kind: LocatedModel needs this name.")
    elif not location.null:
        problems.append("location has to be nullable: an object may have no address.")
    if not isinstance(country, models.CharField | models.TextField):
        problems.append("country_code is not a field of text: LocatedModel needs this name.")
    address = _column(model, model.geo_address_field)
    if address is None or address.is_relation:
        problems.append(
            f"geo_address_field is {model.geo_address_field!r}: name the field of the model that "
            "holds an IP address."
        )
    moment = _column(model, model.geo_time_field)
    if model.geo_time_field and not isinstance(moment, models.DateTimeField):
        problems.append(
            f"geo_time_field is {model.geo_time_field!r}: name a DateTimeField of the model, or "
            "leave it out."
        )
    return problems


def _column(model: type[Any], name: str) -> Any:
    """Return the field of a column, or None."""
    try:
        found = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return found if found.concrete else None
