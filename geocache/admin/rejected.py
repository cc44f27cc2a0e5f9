"""Answers that the database refused."""

import time
from collections.abc import Iterator
from typing import Final

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from geocache.admin.read_only import ReadOnlyAdmin
from geocache.exceptions import JournalUnavailable, UndecodableRecord
from geocache.location import load_locations
from geocache.models import RejectedEntry

# How long entries are tried again while a browser waits, and how many are in memory.
TRY_AGAIN_SECONDS: Final = 20.0
PAGE_ENTRIES: Final = 200


@admin.register(RejectedEntry)
class RejectedEntryAdmin(ReadOnlyAdmin):
    """Answers that the database refused: to read, to try again, to give up."""

    is_deletable = True
    list_display = ("address_text", "short_error", "rejected_at")
    ordering = ("-rejected_at",)
    actions = ("try_again",)
    unlimited_actions = ("try_again",)

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
            for entry in _until_late(request, queryset):
                if _journal_again(entry):
                    again_count += 1
                else:
                    unreadable_count += 1
        except JournalUnavailable as error:
            said = gettext("The journal takes no more entries now: %(error)s")
            messages.error(request, said % {"error": error})
        _say_tried_again(request, again_count, unreadable_count)


def _until_late(request: HttpRequest, entries: QuerySet[RejectedEntry]) -> Iterator[RejectedEntry]:
    """Give all entries, a page in memory at a time; after ``TRY_AGAIN_SECONDS`` say so and end."""
    last, late_at = 0, time.monotonic() + TRY_AGAIN_SECONDS
    while page := list(entries.filter(pk__gt=last).order_by("pk")[:PAGE_ENTRIES]):
        last = page[-1].pk
        yield from page
        if time.monotonic() > late_at:
            messages.warning(request, gettext("Stopped by the time limit: try the rest again."))
            return


def _journal_again(entry: RejectedEntry) -> bool:
    """Move an entry from the list to the journal; False when its record cannot be read."""
    from geocache.journal import writer  # noqa: PLC0415 - each process loads the admin

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
