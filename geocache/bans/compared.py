"""With which protection all bans were compared last.

To read all bans takes a second for 500,000, and only another protection can find one among them
that was right before.
"""

from pathlib import Path

from geocache import conf
from geocache.bans.protection import Protection
from geocache.models.connection import database_id


def is_new(protection: Protection) -> bool:
    """Tell whether the bans of this database are still to be compared with ``protection``."""
    try:
        return _path().read_text(errors="replace") != _text(protection)
    except OSError:
        return True


def remember(protection: Protection) -> None:
    """Remember that they were; half a file, after a kill, is another text."""
    _path().write_text(_text(protection))


def _text(protection: Protection) -> str:
    return f"{database_id()} {protection.digest}"


def _path() -> Path:
    return conf.var_dir() / ".bans.protection"
