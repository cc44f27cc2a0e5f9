"""``LocationField``: an answer in a column of JSON, in the form that the API has, too."""

import math
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.fields.json import KeyTransform

from geocache.exceptions import UndecodableRecord
from geocache.location import Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle

if TYPE_CHECKING:
    Base = models.JSONField[Location | None, Location | None]
else:
    Base = models.JSONField

log = get_logger(__name__)
unreadable: Final = LogThrottle(seconds=60)


class LocationField(Base):
    """A ``Location``; its fields can be queried: ``filter(location__city="London")``.

    No form shows it. What it cannot read it gives as None.
    """

    description = "Location"

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        """Name the public module: a migration of a host keeps the name for years."""
        name, _, arguments, options = super().deconstruct()
        return name, "geocache.located.LocationField", arguments, options

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the answer, or what a query has asked for of one."""
        found = super().from_db_value(value, expression, connection)
        if found is None or isinstance(expression, KeyTransform):
            return found
        try:
            return Location.from_plain(found)
        except UndecodableRecord as error:
            if unreadable.is_due():
                log.warning("geo_location_unreadable", field=str(self), error=str(error))
            return None

    def to_python(self, value: Any) -> Any:
        """Return the answer that a fixture holds."""
        # Text is of a fixture in XML, which Django reads next.
        if value is None or isinstance(value, Location | str):
            return value
        try:
            return Location.from_plain(value)
        except UndecodableRecord as error:
            raise ValidationError(str(error), code="invalid") from error

    def get_prep_value(self, value: Any) -> Any:
        """Return what is stored of an answer; what queries compare with stays as it is."""
        if not isinstance(value, Location):
            return super().get_prep_value(value)
        return {name: _storable(one) for name, one in value.to_plain().items()}

    def value_to_string(self, obj: models.Model) -> Any:
        """Return what a fixture holds."""
        return self.get_prep_value(self.value_from_object(obj))

    def validate(self, value: Any, model_instance: models.Model | None) -> None:
        """Validate what is stored."""
        super().validate(self.get_prep_value(value), model_instance)

    def formfield(self, **_: Any) -> None:
        """Take part in no form: an answer is looked up, not typed."""
        return


def _storable(value: object) -> object:
    """Return a value without what databases refuse in JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return whole.replace("\0", "")
    if isinstance(value, dict):
        return {str(_storable(name)): _storable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_storable(one) for one in value]
    return value
