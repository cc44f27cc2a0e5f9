"""What a list is written in: as its user says, or told by how it begins."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from geocache.blocklists.formats import line_formats
from geocache.blocklists.formats.base import Element, Format, Found, Head, Options, Remark, Source
from geocache.blocklists.formats.fail2ban_database import NAME as DATABASE
from geocache.exceptions import ImportFailed


@dataclass(frozen=True, slots=True)
class LineFormat:
    """One of the formats that are read line by line, until it has a reader of its own."""

    name: str

    def matches(self, head: Head) -> bool:
        return self._form(head).name == self.name

    def read(self, source: Source, options: Options) -> Iterator[Found]:  # noqa: ARG002 - it takes none
        form = self._form(Head(tuple(line.text for line in islice(source.lines(), 600))))
        for number, text in source.lines():
            if text.lstrip().startswith(line_formats.COMMENT):
                yield Remark(text)
            for word in form.read(text):
                yield Element(number, (word,))

    @staticmethod
    def _form(head: Head) -> line_formats.Format:
        meant = (text for text in head.lines if text.strip() and not text.startswith("#"))
        return line_formats.recognise(list(islice(meant, line_formats.HEAD_LINES)))


# The most specific first: what begins like an ipset also has lines that a plain list could have.
FORMATS: Final[tuple[Format, ...]] = (
    LineFormat("fail2ban.log"),
    LineFormat("JSON lines"),
    LineFormat("ipset"),
    LineFormat("nftables"),
    LineFormat("CSV"),
    # Whatever is nothing else.
    LineFormat("list"),
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
