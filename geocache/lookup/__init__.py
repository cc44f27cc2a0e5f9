"""Where is this IP address? The public functions of the read path."""

from geocache.lookup.asynchronous import alookup, alookup_many
from geocache.lookup.tiers import lookup, lookup_many

__all__ = ["alookup", "alookup_many", "lookup", "lookup_many"]
