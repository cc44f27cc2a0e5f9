"""What the bans were compared with last, so that who looks often need not read all of them.

To compare 500,000 bans with as many entries takes seconds. Two files in ``VAR_DIR`` say with which
protection and which lists all was done; where they are missing, or say something else, all is
compared again.
"""

from pathlib import Path
from typing import Final

from django.db.models import Count, Max, Sum

from geocache import conf
from geocache.bans.pending import all_bans
from geocache.bans.protection import Protection
from geocache.models import ImportRun
from geocache.models.connection import database_id, writing_alias

PROTECTION: Final = ".bans.protection"
LISTS: Final = ".bans.lists"
ENDED: Final = "all bans have ended"


def is_new(protection: Protection) -> bool:
    """Tell whether a ban that was right once may be one of what is protected."""
    return _read(PROTECTION) != _named(protection)


def is_settled(protection: Protection) -> bool:
    """Tell whether all was done, and no list, ban or setting has changed since."""
    return _read(LISTS) == _state(protection, lists(), all_bans().count())


def lists() -> str:
    """Return what is another text after each change of a list, in one query of all imports.

    Entries change only with the counts of a run, in one transaction.
    """
    runs = ImportRun.objects.using(writing_alias()).order_by("source").values_list("source")
    sums = map(Sum, ("added_count", "removed_count", "changed_count"))
    return repr(list(runs.annotate(Count("pk"), Max("started_at"), *sums)))


def is_interrupted() -> bool:
    """Tell whether what was begun last has not ended: more may be in force than is recorded."""
    return not _read(LISTS)


def begin() -> None:
    """Forget what was done: killed from here on, all is compared again."""
    _path(LISTS).unlink(missing_ok=True)


def finish(protection: Protection, done: str, ban_count: int) -> None:
    """Remember that all was done of ``done``, which is ``lists()`` from before it was begun."""
    _path(PROTECTION).write_text(_named(protection))
    _path(LISTS).write_text(_state(protection, done, ban_count))


def finish_end() -> None:
    """Remember that all bans have ended, which is not what lists and settings say."""
    _path(LISTS).write_text(ENDED)


def _state(protection: Protection, done: str, ban_count: int) -> str:
    scores = sorted(conf.get("BAN_MIN_SCORES").items())
    return f"{_named(protection)} {scores} {ban_count} {done}"


def _named(protection: Protection) -> str:
    return f"{database_id()} {protection.digest}"


def _read(name: str) -> str:
    try:
        return _path(name).read_text(errors="replace")
    except OSError:
        return ""


def _path(name: str) -> Path:
    return conf.var_dir() / name
