"""ipset: what ``ipset save`` and ``ipset list`` write, scripts for ``ipset restore``."""

import re
from collections.abc import Iterator
from typing import Final

from geocache.blocklists.formats.base import Found, Head, Options, Source
from geocache.blocklists.formats.firewalls.sets import Event, read_sets
from geocache.blocklists.formats.ipset.json_output import read_json
from geocache.blocklists.formats.ipset.lines import GENERAL_OPTIONS, Lines
from geocache.blocklists.formats.ipset.members import is_type
from geocache.blocklists.formats.ipset.xml_output import read_xml

# What the first line that is not a comment begins with.
LINES: Final = re.compile(
    r"""(?:sudo\s)?(?:[\w/]{0,100}/)?ipset\s
    | (?:create|-N)\s\S{1,99}\s(?P<type>\S{1,40})
    | (?:add|del|-A|-D)\s\S{1,99}\s[0-9a-fA-F.:]\S{1,99}(?:\s|$)
    | (?:flush|destroy|-F|-X)(?:\s\S{1,99})?$
    | (?:swap|rename|-W|-E)\s\S{1,99}\s\S{1,99}$
    | Name:\s\S""",
    re.VERBOSE,
)
XML: Final = re.compile(
    r"(?:<\?xml[^>]{0,200}\?>)?\s{0,99}(?:<!--.{0,500}-->)?\s{0,99}<ipsets?[\s>]"
)
JSON: Final = re.compile(
    r'\[\s{0,99}\{\s{0,99}"name"\s{0,99}:.{1,200}"type"\s{0,99}:\s{0,99}"(?:hash|bitmap|list):'
)


class _Ipset:
    name: Final = "ipset"

    def matches(self, head: Head) -> bool:
        lines = [line.strip()[:1000] for line in head.lines]
        meant = [line for line in lines if line and not line.startswith("#")]
        words = [word for word in meant[0].split() if word not in GENERAL_OPTIONS] if meant else []
        found = LINES.match(" ".join(words))
        if found:
            return found["type"] is None or is_type(found["type"])
        beginning = " ".join(lines[:30])
        return bool(XML.match(beginning) or JSON.match(beginning))

    def read(self, source: Source, options: Options) -> Iterator[Found]:
        def events() -> Iterator[Event]:
            beginning = next(source.chunks(), "").lstrip()[:1]
            if beginning == "<":
                return read_xml(source.chunks())
            if beginning == "[":
                return read_json(source.chunks())
            return Lines(source.lines()).events()

        return read_sets(events, options)


IPSET: Final = _Ipset()
