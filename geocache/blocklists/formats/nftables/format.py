"""nftables: what ``nft list`` writes, and files for ``nft -f``.

Elements of named sets are entries, no others: not those of maps, and no addresses in rules.
"""

import re
from collections.abc import Iterator
from typing import Final

from geocache.blocklists.formats.base import BadLine, Found, Head, Options, Remark, Source
from geocache.blocklists.formats.firewalls.sets import Event, read_sets
from geocache.blocklists.formats.nftables.script import Script

NAME: Final = "nftables"
SHEBANG: Final = re.compile(r"#!\s?\S{0,100}\bnft\b")
# The first line that is not a comment.
BEGINNING: Final = re.compile(
    r"""(?:sudo\s)?\s?(?:[\w/]{0,100}/)?nft\s
    | (?:add|create|delete|destroy|flush|insert|replace|reset|list)\s{1,9}
      (?:table|set|map|chain|rule|element|ruleset|counter|flowtable)s?\b
    | table\s{1,9}\S
    | (?:set|map|chain)\s[^{;=]{1,200}\{
    | element\s[^{;=]{1,200}[{$]
    | (?:re)?define\s{1,9}[\w.-]{1,100}\s{0,9}=
    | undefine\s
    | include\s{1,9}"
    | type(?:of)?\s{1,9}(?:ipv[46]_addr|ip6?\s)
    | elements\s{0,9}=""",
    re.VERBOSE,
)
SHOWN_LETTERS: Final = 1000


class _Nftables:
    name: Final = NAME

    def matches(self, head: Head) -> bool:
        lines = [line.strip()[:SHOWN_LETTERS] for line in head.lines]
        if lines and SHEBANG.match(lines[0]):
            return True
        meant = (line for line in lines if line and not line.startswith("#"))
        return bool(BEGINNING.match(next(meant, "")))

    def read(self, source: Source, options: Options) -> Iterator[Found]:
        are_sets = _has_only_definitions(source)

        def events() -> Iterator[Event]:
            return Script(source.chunks(), definitions_are_sets=are_sets).events()

        return read_sets(events, options)


def _has_only_definitions(source: Source) -> bool:
    """Tell whether a file is one of definitions, made to be included: they are what it lists."""
    script = Script(source.chunks())
    for event in script.events():
        if script.has_other_than_definitions or not isinstance(event, BadLine | Remark):
            return False
    return script.has_definitions and not script.has_other_than_definitions


NFTABLES: Final = _Nftables()
