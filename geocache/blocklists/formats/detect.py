"""What a list is written in: as its user says, or told by how it begins."""

import re
from typing import Final

from geocache.blocklists.formats.base import Format, Head, Options
from geocache.blocklists.formats.fail2ban.database import NAME as DATABASE
from geocache.blocklists.formats.fail2ban.log import Fail2banLog
from geocache.blocklists.formats.ipset.format import IPSET
from geocache.blocklists.formats.json_values.documents import JsonDocument
from geocache.blocklists.formats.json_values.lines import JsonLines
from geocache.blocklists.formats.nftables.format import NFTABLES
from geocache.blocklists.formats.nftables.json_format import NFTABLES_JSON
from geocache.blocklists.formats.plain import PlainList
from geocache.blocklists.formats.tables.format import CsvTable
from geocache.exceptions import ImportFailed

# The most specific first: what begins like an ipset also has lines that a plain list could have.
FORMATS: Final[tuple[Format, ...]] = (
    Fail2banLog(),
    NFTABLES_JSON,
    NFTABLES,
    IPSET,
    JsonLines(),
    JsonDocument(),
    CsvTable(),
    # Whatever is nothing else.
    PlainList(),
)


def recognise(head: Head, options: Options) -> Format:
    """Return the format that the user names, or the first that matches; raise ``ImportFailed``."""
    if options.format_name:
        if is_database_named(options):
            raise ImportFailed(f"it is not {DATABASE}: that is a file of SQLite")
        wanted = _key(options.format_name)
        for one in FORMATS:
            if _key(one.name) == wanted:
                return one
        raise ImportFailed(format_problem(options.format_name))
    return next((one for one in FORMATS if one.matches(head)), FORMATS[-1])


def is_last(form: Format) -> bool:
    """Tell whether a format is that of lists which are written in no other."""
    return form is FORMATS[-1]


def is_database_named(options: Options) -> bool:
    """Tell whether the user says that a list is fail2ban's database."""
    return _key(options.format_name) == _key(DATABASE)


def format_names() -> tuple[str, ...]:
    """Return what formats are called."""
    return (*(one.name for one in FORMATS), DATABASE)


def format_problem(name: str) -> str:
    """Return why no format is called ``name``, or the empty text."""
    if not name or _key(name) in map(_key, format_names()):
        return ""
    return f"there is no format {name[:40]!r}; choose one of {', '.join(format_names())}"


def _key(name: str) -> str:
    """Return what tells a name, however it is typed: ``json-lines`` is ``JSON lines``."""
    return re.sub(r"'s\b|[\W_]", "", name).casefold()
