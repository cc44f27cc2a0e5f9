"""Which permission shows what: those of Django's admin, and besides one has to be staff."""

from typing import Any, Final

VIEW_ADDRESSES: Final = "geocache.view_geocache"
VIEW_HISTORY: Final = "geocache.view_answerhistory"
VIEW_LISTS: Final = "geocache.view_importsource"
VIEW_LISTED: Final = "geocache.view_listedaddress"
CHANGE_LISTS: Final = "geocache.change_importsource"


def missing(user: Any, *permissions: str) -> list[str]:
    """Return what ``user`` lacks: ``is_staff`` alone, or names of permissions.

    Those that a user has are read from the database once a request.
    """
    # A model of the project's own need not have it.
    if not getattr(user, "is_staff", False):
        return ["is_staff"]
    return [name for name in permissions if not user.has_perm(name)]
