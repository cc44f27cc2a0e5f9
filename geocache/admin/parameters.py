"""What a request may ask of the admin: filters that are offered, keys that can exist, few rows."""

from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

# Rows that one click may change: a browser waits, and a provider may want money for each.
CHOSEN_LIMIT: Final = 500
# What Django's filters of a field and its date hierarchy append to the name of the field.
OFFERED_LOOKUPS: Final = ("exact", "isnull", "gte", "lt", "id__exact", "year", "month", "day")


class CheckedChangeList(ChangeList):
    """A list whose parameters, when no database can compare with them, lead back to the list."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(request, *args, **kwargs)
        except (DataError, OverflowError, ValueError) as error:
            if not request.GET:
                # It was not the parameters.
                raise
            raise IncorrectLookupParameters from error


class CheckedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in its stubs
    """An admin that bounds what Django's own takes: filters by every column, with every text."""

    # Actions that read all rows that are chosen in pieces; others take CHOSEN_LIMIT of them.
    unlimited_actions: tuple[str, ...] = ()

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's signature
        """Return the list that refuses what cannot be compared."""
        return CheckedChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """Allow what the list offers: by other columns a secret could be read letter by letter."""
        offered: list[Any] = [*self.get_list_filter(request), self.date_hierarchy]
        for one in filter(None, offered):
            if not isinstance(one, str):
                if lookup == one.parameter_name:
                    return True
            elif lookup in (f"{one}__{suffix}" for suffix in OFFERED_LOOKUPS):
                return True
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the row, None for a key that PostgreSQL does not compare with."""
        if "\0" in object_id:
            return None
        return super().get_object(request, object_id, from_field)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        """Run the action that was chosen; refuse forged keys, and more rows than a click may."""
        self.check_keys(request)
        few = queryset.values_list("pk")[: CHOSEN_LIMIT + 1]
        if self._is_limited(request) and len(few) > CHOSEN_LIMIT:
            said = gettext("Choose at most %(limit)d rows at a time. Nothing was done.")
            messages.warning(request, said % {"limit": CHOSEN_LIMIT})
            return None
        return super().response_action(request, queryset, *args, **kwargs)

    def _is_limited(self, request: HttpRequest) -> bool:
        """Tell whether an action is asked for on all rows, and has to hold all of them at once."""
        if request.POST.get("select_across", "0") == "0":
            return False
        # One for each of the two menus of the list.
        chosen = filter(None, request.POST.getlist("action"))
        return not set(chosen) <= set(self.unlimited_actions)

    def check_keys(self, request: HttpRequest) -> None:
        """Raise ``BadRequest`` when a key was posted that no row can have."""
        opts: Any = self.opts
        for text in request.POST.getlist(ACTION_CHECKBOX_NAME):
            try:
                opts.pk.clean(text, None)
            except ValidationError as error:
                raise BadRequest("a key that no row can have") from error
            if "\0" in text:
                raise BadRequest("a key that no row can have")
