"""What the catalogue says of one setting."""

from dataclasses import dataclass
from enum import Enum

from django.utils.translation import gettext_lazy as _

from geocache.runtime_settings.kinds import Kind, Text


class Group(Enum):
    """The parts of the page, in their order."""

    FLUSH = _("Saving to the table")
    CACHE = _("Cache")
    LIMITS = _("Limits and quotas")
    UPDATES = _("Updates and imports")
    RETENTION = _("Retention")
    BANS = _("Bans")
    ACCESS = _("Access")
    LOG = _("Log")


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting that may change at run time; ``help`` says what it affects."""

    name: str
    group: Group
    kind: Kind
    label: Text
    help: Text
