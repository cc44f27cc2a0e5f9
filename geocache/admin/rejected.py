"""Answers that the database refused."""

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from geocache.admin.read_only import ReadOnlyAdmin
from geocache.exceptions import JournalUnavailable, UndecodableRecord
from geocache.journal import writer
from geocache.location import load_locations
from geocache.models import RejectedEntry


@admin.register(RejectedEntry)
class RejectedEntryAdmin(ReadOnlyAdmin):
    """Answers that the database refused: to read, to try again, to give up."""

    list_display = ("address_text", "short_error", "rejected_at")
    ordering = ("-rejected_at",)
    actions = ("try_again",)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let an entry be given up."""
        return super(ReadOnlyAdmin, self).has_delete_permission(request, obj)

    @admin.display(description=_("address"), ordering="address")
    def address_text(self, entry: RejectedEntry) -> str:
        """Return the address, if it is known."""
        return entry.address or gettext("(unreadable record)")

    @admin.display(description=_("error"))
    def short_error(self, entry: RejectedEntry) -> str:
        """Return the beginning of the error."""
        return Truncator(entry.error).chars(80)

    # An entry that is journaled again leaves the list: who may delete it may do this.
    @admin.action(description=_("Try again"), permissions=["delete"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[RejectedEntry]) -> None:
        """Journal the records once more and say how many could be."""
        again_count = unreadable_count = 0
        try:
            for entry in queryset:
                if _journal_again(entry):
                    again_count += 1
                else:
                    unreadable_count += 1
        except JournalUnavailable as error:
            said = gettext("The journal takes no more entries now: %(error)s")
            messages.error(request, said % {"error": error})
        _say_tried_again(request, again_count, unreadable_count)


def _journal_again(entry: RejectedEntry) -> bool:
    """Move an entry from the list to the journal; False when its record cannot be read."""
    try:
        locations = load_locations(entry.record)
    except UndecodableRecord:
        return False
    # First the journal: killed in between, the entry is in both, which does no harm.
    writer.append(locations)
    entry.delete()
    return True


def _say_tried_again(request: HttpRequest, again_count: int, unreadable_count: int) -> None:
    if again_count:
        said = ngettext(
            "%(count)d entry is journaled again; the next flush tries it.",
            "%(count)d entries are journaled again; the next flush tries them.",
            again_count,
        )
        messages.success(request, said % {"count": again_count})
    if unreadable_count:
        said = ngettext(
            "%(count)d entry cannot be read by this release and stays here.",
            "%(count)d entries cannot be read by this release and stay here.",
            unreadable_count,
        )
        messages.warning(request, said % {"count": unreadable_count})
