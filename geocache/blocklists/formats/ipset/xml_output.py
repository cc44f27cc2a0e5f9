"""What ``ipset list -output xml`` writes, and the sets of firewalld."""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from xml.parsers import expat

from geocache.blocklists.formats.base import BadLine
from geocache.blocklists.formats.firewalls.sets import Declare, Event
from geocache.blocklists.formats.ipset.members import MASKS, NO_MATCH, SetType
from geocache.exceptions import ImportFailed

# A longer text between two tags is cut off.
MAX_TEXT: Final = 2000
# The longest line whose comments are mended.
MAX_LINE: Final = 2**20
# ipset writes comments as they are, and they may hold what XML does not allow there.
COMMENT: Final = re.compile(r'(?<=<comment>")[^"\n]*(?="</comment>)')
NOT_XML: Final = re.compile(r"<|&(?!(?:lt|gt|amp|quot|apos|#\d{1,7});)")


def read_xml(chunks: Iterable[str]) -> Iterator[Event]:
    """Give the members of all sets; raise ``ImportFailed`` for a document with a DTD."""
    reader = _Reader()
    try:
        for lines in _whole_lines(chunks):
            reader.parser.Parse(COMMENT.sub(_escape, lines), False)
            yield from reader.taken()
        reader.parser.Parse("", True)
    except expat.ExpatError as error:
        yield from reader.taken()
        reason = expat.ErrorString(error.code)
        yield BadLine(error.lineno, "", f"{reason}: XML that follows is not read")


def _whole_lines(chunks: Iterable[str]) -> Iterator[str]:
    rest = ""
    for chunk in chunks:
        text = rest + chunk
        end = text.rfind("\n") + 1 if len(text) < MAX_LINE else len(text)
        yield text[:end]
        rest = text[end:]
    yield rest


def _escape(comment: re.Match[str]) -> str:
    return NOT_XML.sub(lambda sign: "&lt;" if sign[0] == "<" else "&amp;", comment[0])


class _Reader:
    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._take_text
        # Entities that stand for each other would fill the memory.
        self.parser.StartDoctypeDeclHandler = self._refuse
        self._events: list[Event] = []
        self._text = ""
        self._name = ""
        self._kind = SetType()
        self._header: list[str] = []
        # Of a member; None outside.
        self._words: list[str] | None = None

    def taken(self) -> list[Event]:
        """Return what was read since the last time."""
        events, self._events = self._events, []
        return events

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._text = ""
        if tag == "ipset":
            self._name = attributes.get("name", "")
            self._declare(attributes.get("type", ""))
        elif tag == "member":
            self._words = []
        elif tag == "option" and attributes.get("name") in MASKS:
            self._header += [attributes["name"], attributes.get("value", "")]

    def _end(self, tag: str) -> None:
        text, self._text = self._text.strip(), ""
        if tag == "type":
            self._declare(text)
        elif tag == "entry":
            self._add([text])
        elif tag == "member":
            self._add(self._words or [])
            self._words = None
        elif self._words is None:
            if tag in MASKS:
                self._header += [tag, text]
        elif tag == "elem":
            self._words.insert(0, text)
        elif tag in (NO_MATCH, "comment"):
            self._words += [tag] if tag == NO_MATCH else [tag, text]

    def _declare(self, type_name: str) -> None:
        self._kind, self._header = SetType(type_name), []
        self._events.append(Declare(self._name, self._kind.has_addresses))

    def _add(self, words: list[str]) -> None:
        if self._header:
            self._kind, self._header = SetType.read(self._kind.name, self._header), []
        line_number = self.parser.CurrentLineNumber
        if words and words[0]:
            self._events.append(self._kind.member(line_number, self._name, words))
        else:
            self._events.append(BadLine(line_number, "", "is a member without an element"))

    def _take_text(self, text: str) -> None:
        if len(self._text) < MAX_TEXT:
            self._text += text

    def _refuse(self, *_: object) -> None:
        raise ImportFailed("its XML has a document type, which is not read")
