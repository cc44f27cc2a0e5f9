"""Which permission shows what: those of the models, as in Django's admin."""

from typing import Any, Final

VIEW_ADDRESSES: Final = "geocache.view_geocache"
VIEW_HISTORY: Final = "geocache.view_answerhistory"
VIEW_LISTS: Final = "geocache.view_importsource"
VIEW_LISTED: Final = "geocache.view_listedaddress"
CHANGE_LISTS: Final = "geocache.change_importsource"


def user_of(request: Any) -> Any:
    """Return who has sent a request, None in a project without ``AuthenticationMiddleware``."""
    return getattr(request, "user", None)


def missing(user: Any, *permissions: str) -> list[str]:
    """Return which of the permissions ``user`` lacks; one need not be staff to have them.

    They are asked for as everywhere in Django, so that an authentication backend of the project
    decides. Those that a user has are read from the database once a request.
    """
    has_permission = getattr(user, "has_perm", None)  # a project's model of users may lack it
    return [one for one in permissions if has_permission is None or not has_permission(one)]
