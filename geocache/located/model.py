"""``LocatedModel``: keep with each object the country and the location of its address."""

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from django.core.checks import CheckMessage
from django.db import models
from django.db.models.base import ModelBase
from django.utils.translation import gettext_lazy as _

from geocache.client_ip import address_of
from geocache.located.checks import check_names
from geocache.located.field import LocationField
from geocache.located.locate import locate_objects

FIELDS: Final = ("country_code", "location")


class LocatedModel(models.Model):
    """An object that remembers where its address was when it was saved.

    ``save()`` looks up a new or changed address, and keeps the answer for one that is unchanged; a
    failed look-up never fails the save. ``location`` is None where there is no address, and where
    the provider could not answer, until ``manage.py locate_geo`` does.
    """

    # The name of the field that holds the address.
    geo_address_field: ClassVar[str] = ""
    # The name of a field with the moment for which the answer is wanted; empty: when it is saved.
    geo_time_field: ClassVar[str] = ""

    country_code = models.CharField(
        _("country"), max_length=2, blank=True, default="", editable=False, db_index=True
    )
    location = LocationField(_("location"), null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    def set_visitor(self, request: Any) -> None:
        """Take the address of the visitor who has sent ``request``; ``save()`` looks it up."""
        setattr(self, self.geo_address_field, address_of(request))

    def save_base(
        self,
        raw: bool = False,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Save with the answer for the address, if that is saved, too.

        Here and not in ``save()``, which leaves out deferred fields first. Fixtures are saved by
        Django's own method, as they are.
        """
        if not raw and (update_fields is None or self.geo_address_field in update_fields):
            before = (self.country_code, self.location)
            locate_objects([self])
            if update_fields is not None and before != (self.country_code, self.location):
                update_fields = frozenset((*update_fields, *FIELDS))
        super().save_base(raw, force_insert, force_update, using, update_fields)

    @classmethod
    def check(cls, **options: Any) -> list[CheckMessage]:
        """Check that the attributes name fields."""
        return [*super().check(**options), *check_names(cls)]
