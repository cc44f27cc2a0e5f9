"""Settings that were changed at run time: what counts before the settings file."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from geocache.instants import InstantField
from geocache.models.written import WrittenModel


class SettingOverride(WrittenModel):
    """One setting of ``GEOCACHE`` that the admin has changed; without a row the file counts."""

    name = models.CharField(_("setting"), max_length=100, primary_key=True)
    # Null is a value, too: the limits of look-ups can be switched off.
    value = models.JSONField(_("value"), null=True)
    # The name of a user, and no key: users may be in another database, and may be deleted.
    changed_by = models.CharField(_("changed by"), max_length=254, blank=True)
    changed_at = InstantField(_("changed at"))

    class Meta:
        verbose_name = _("setting")
        verbose_name_plural = _("settings")
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name
