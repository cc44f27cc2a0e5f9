"""Keep with an object where its address was, at its time. Migrations of hosts name this module."""

from geocache.located.field import LocationField
from geocache.located.locate import locate_objects
from geocache.located.model import LocatedModel

__all__ = ["LocatedModel", "LocationField", "locate_objects"]
