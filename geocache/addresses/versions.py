"""Tell the numbers of versions from addresses, by what stands before them."""

import re
from string import ascii_letters
from typing import Final

# How far back is looked: a name, and what stands between it and the number.
REACH: Final = 40
SEPARATORS: Final = " \t\"'=:#/+.\\~"
# Also ``<version>1.2.3.4</version>`` and ``Version(1.2.3.4)``.
BEFORE: Final = f"{SEPARATORS}>("
# The name before a slash in ``Chrome/120.0.0.0``, which is not a part of a path, and not the way
# that Squid's log names before an address: ``HIER_DIRECT/192.0.2.1``.
PRODUCT: Final = re.compile(
    r"(?:^|[\s\"'(;,+)=>|])(?!(?:[A-Z]+_)*(?:DIRECT|PARENT|SIBLING|DST)/)[A-Za-z_][\w.+-]*/\Z"
)
# A port behind it: ``inside/192.0.2.1(53211)`` and ``dns.google/8.8.8.8:443`` are addresses.
PORT: Final = re.compile(r"[:(][0-9]")
# Of a record in ArcSight's or IBM's format: ``CEF:0|Vendor|Product|1.2.3.4|``.
RECORD: Final = re.compile(r"\b(?:CEF|LEEF):[0-9.]{1,3}\Z")
RECORD_REACH: Final = 160
# Ends of words: ``appVersion``, ``prerelease``; also in the languages in which lists are written.
VERSIONS: Final = ("version", "versions", "versión", "versione", "versão", "версия", "版本")
ENDINGS: Final = (*VERSIONS, "release", "revision", "firmware", "build")
BROWSERS: Final = ("chrome", "chromium", "headlesschrome", "edge", "edg", "opera", "opr", "firefox")
WORDS: Final = frozenset(
    ("ver", "rel", "rev", "rv", "oid", "safari", "webview", "msie", "versie", "wersja", *BROWSERS)
)
# Parts of documents: ``section 1.2.3.4``.
PARTS: Final = frozenset({"section", "sections", "chapter", "clause", "abschnitt", "kapitel"})
# Between the word and the number: ``version number is 1.2.3.4``.
FILLERS: Final = frozenset({"is", "was", "number", "no", "nr"})
# Whose identifiers are written as addresses: ``router id 192.0.2.1``.
HAVE_IDS: Final = ("router", "peer", "neighbor", "neighbour", "local", "remote", "ike", "area")


def is_version(line: str, start: int, end: int) -> bool:
    """Tell whether the four numbers from ``start`` to ``end`` of a line are a version."""
    last = line[start - 1 : start]
    if last == "|":
        fields = line[max(start - RECORD_REACH, 0) : start].rsplit("|", 3)
        return len(fields) == 4 and RECORD.search(fields[0][-8:]) is not None
    if last not in BEFORE and last.isascii():  # else a sign, or a word of another script
        return False
    first = max(start - REACH, 0)
    if line[start - 1] == "/" and PRODUCT.search(line, first, start):
        return PORT.match(line, end) is None
    return _is_named(line[first:start])


def _is_named(before: str) -> bool:
    rest, word, between = _last_word(before)
    while word in FILLERS:
        rest, word, between = _last_word(rest)
    match word:
        case "":
            # ``release (192.0.2.1)`` may be anything.
            is_opened = rest.endswith((">", "("))
            return rest.endswith("§") or (is_opened and _last_word(rest[:-1])[1].endswith(VERSIONS))
        case "v":
            # ``nmap -v 192.0.2.1`` is not one.
            return not rest.endswith("-")
        case "kernel":
            # ``kernel: 192.0.2.1 sent an invalid ICMP type`` is the log of one.
            return ":" not in between and "/" not in between
        case "id":
            # As Exchange writes its version. ``id=192.0.2.1`` may be anything.
            is_word = between.isspace() and not rest.endswith(("-", "_"))
            return is_word and _last_word(rest)[1] not in HAVE_IDS
    if word.endswith(ENDINGS):
        return "." not in between  # the end of a sentence
    return word in WORDS or (word in PARTS and between.isspace())


def _last_word(text: str) -> tuple[str, str, str]:
    """Return what stands before the last word, that in lower case, and what follows it."""
    bare = text.rstrip(SEPARATORS)
    rest = bare.rstrip(ascii_letters)
    while rest and rest[-1].isalpha():
        rest = rest[:-1].rstrip(ascii_letters)
    return rest, bare[len(rest) :].lower(), text[len(bare) :]
