"""Tell the numbers of versions from addresses, by what stands before them."""

import re
from string import ascii_letters
from typing import Final

# How far back is looked: a name, and what stands between it and the number.
REACH: Final = 40
SEPARATORS: Final = " \t\"'=:#/+.\\"
# The name before a slash in ``Chrome/120.0.0.0``, which is not a part of a path, and not the way
# that Squid's log names before an address: ``HIER_DIRECT/192.0.2.1``.
PRODUCT: Final = re.compile(
    r"(?:^|[\s\"'(;,+)=>|])(?!(?:[A-Z]+_)*(?:DIRECT|PARENT|SIBLING|DST)/)[A-Za-z_][\w.+-]*/\Z"
)
# A port behind it: ``inside/192.0.2.1(53211)`` and ``dns.google/8.8.8.8:443`` are addresses.
PORT: Final = re.compile(r"[:(][0-9]")
# Ends of words: ``appVersion``, ``prerelease``.
ENDINGS: Final = ("version", "versions", "release", "revision", "firmware", "build")
BROWSERS: Final = ("chrome", "chromium", "headlesschrome", "edge", "edg", "opera", "opr", "firefox")
WORDS: Final = frozenset({"ver", "rel", "rev", "oid", "safari", "webview", *BROWSERS})
# Between the word and the number: ``version number is 1.2.3.4``.
FILLERS: Final = frozenset({"is", "was", "number", "no", "nr"})
# Whose identifiers are written as addresses: ``router id 192.0.2.1``.
HAVE_IDS: Final = ("router", "peer", "neighbor", "neighbour", "local", "remote", "ike", "area")


def is_version(line: str, start: int, end: int) -> bool:
    """Tell whether the four numbers from ``start`` to ``end`` of a line are a version."""
    if start == 0 or line[start - 1] not in SEPARATORS:
        return False
    first = max(start - REACH, 0)
    if line[start - 1] == "/" and PRODUCT.search(line, first, start):
        return PORT.match(line, end) is None
    return _is_named(line[first:start])


def _is_named(before: str) -> bool:
    rest, word, between = _last_word(before)
    while word in FILLERS:
        rest, word, between = _last_word(rest)
    if word in WORDS:
        return True
    if word.endswith(ENDINGS):
        return "." not in between  # the end of a sentence
    match word:
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
    return False


def _last_word(text: str) -> tuple[str, str, str]:
    """Return what stands before the last word, that in lower case, and what follows it."""
    bare = text.rstrip(SEPARATORS)
    rest = bare.rstrip(ascii_letters)
    return rest, bare[len(rest) :].lower(), text[len(bare) :]
