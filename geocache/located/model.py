"""``LocatedModel``: keep with each object the country and the location of its address."""

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from django.core.checks import CheckMessage, Error
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models.base import ModelBase
from django.utils.translation import gettext_lazy as _

from geocache.client_ip import address_of
from geocache.located.field import LocationField
from geocache.located.locate import locate_objects

FIELDS: Final = ("country_code", "location")


class LocatedModel(models.Model):
    """An object that remembers where its address was when it was saved.

    ``save()`` looks up a new or changed address, and keeps the answer for one that is unchanged;
    it never fails for it. ``location`` is None where there is no address, and where the provider
    could not answer, until ``manage.py locate_geo`` does.
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
        hint = "See LocatedModel in docs/integration.md."
        problems = [
            Error(f"{cls.__name__}.{problem}", obj=cls, hint=hint, id="geocache.E060")
            for problem in _problems(cls)
        ]
        return [*super().check(**options), *problems]


def _problems(model: type[LocatedModel]) -> list[str]:
    problems = []
    if not isinstance(model._meta.get_field("location"), LocationField):
        problems.append("location is a field of another kind: LocatedModel needs this name.")
    address = _field(model, model.geo_address_field)
    if address is None or address.is_relation:
        problems.append(
            f"geo_address_field is {model.geo_address_field!r}: name the field of the model that "
            "holds an IP address."
        )
    if model.geo_time_field and not isinstance(
        _field(model, model.geo_time_field), models.DateTimeField
    ):
        problems.append(
            f"geo_time_field is {model.geo_time_field!r}: name a DateTimeField of the model, or "
            "leave it out."
        )
    return problems


def _field(model: type[models.Model], name: str) -> Any:
    """Return the field of a column, or None."""
    try:
        found = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return found if found.concrete else None
