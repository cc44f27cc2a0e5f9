"""What a list is written in, told by how it begins, and its addresses as they stand there.

Each format is one function from a line to the words that should be addresses; a line that should
hold none (blank, a comment, a heading) gives nothing, and one that cannot be read gives itself.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from geocache.addresses.blocks import is_entry

# By how many lines a format is told.
HEAD_LINES: Final = 60

Words = Iterator[str]
Reader = Callable[[str], Words]

COMMENT: Final = ("#", ";", "//")
# The end of a word: a count, a name or a comment stands behind it.
WORD_END: Final = re.compile(r"[\s,;#]")
LOG: Final = re.compile(r"fail2ban\.\w+ +\[\d+\]")
BAN: Final = re.compile(r"\] (?:Restore )?Ban (\S+)\s*$")
JSON_KEYS: Final = ("cidr", "ip", "address", "network", "prefix", "ip_prefix", "ip_address")
# What an ipset begins with, saved or listed, and its lines that hold no address.
IPSET: Final = re.compile(r"(create \S+ (hash|bitmap|list):|add \S+ [0-9a-fA-F.:]|Name: \S)")
IPSET_OTHER: Final = re.compile(r"(create|flush|destroy|COMMIT)\b|[A-Z][A-Za-z ]*:")
NFT: Final = re.compile(r"\s*(table|set|elements|add element|add set|flush set)\b[^#]*(\{|\w\s*$)")
NFT_BRACES: Final = re.compile(r"elements = \{|add element [^{]*\{|\}")
ELEMENT: Final = re.compile(r"\d|[0-9a-fA-F]{0,4}:")
DELIMITERS: Final = ",;\t|"


@dataclass(frozen=True, slots=True)
class Format:
    """How a list is written, and how a line of it is read."""

    name: str
    read: Reader


def recognise(head: Sequence[str]) -> Format:
    """Return what a list is written in, by its first lines."""
    lines = [line.strip() for line in head if not _is_comment(line)]
    if any(map(LOG.search, lines)):
        return Format("fail2ban.log", read_log)
    if any(line.startswith("{") and line.endswith(("}", "},")) for line in lines):
        return Format("JSON lines", read_json)
    if lines and IPSET.match(lines[0]):
        return Format("ipset", read_ipset)
    if lines and NFT.match(lines[0]):
        return Format("nftables", read_nftables)
    if found := _find_column(lines):
        delimiter, column = found
        return Format("CSV", lambda line: read_csv(line, delimiter, column))
    return Format("list", read_list)


def read_list(line: str) -> Words:
    """Read one entry first on each line, with or without a count or a comment behind it."""
    if not _is_comment(line):
        yield WORD_END.split(line.strip(), maxsplit=1)[0]


def read_log(line: str) -> Words:
    """Read what fail2ban says to have banned, in its own log; all else in it is passed over."""
    if found := BAN.search(line):
        yield found[1]


def read_json(line: str) -> Words:
    """Read one JSON object a line, the entry under one of a few names."""
    text = line.strip().rstrip(",")
    if not text.startswith("{"):
        # The brackets around a list of objects.
        yield from () if text in ("", "[", "]") else (text,)
        return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        yield text
        return
    if found.get("type") != "metadata":
        held = (found[name] for name in JSON_KEYS if isinstance(found.get(name), str))
        yield next(held, text)


def read_ipset(line: str) -> Words:
    """Read what ``ipset save`` or ``ipset list`` writes."""
    words = line.split()
    if not words or IPSET_OTHER.match(line.strip()):
        return
    member = words[2] if words[0] == "add" and len(words) > 2 else words[0]
    # Of hash:ip,port and its like the address comes first.
    yield member.partition(",")[0]


def read_nftables(line: str) -> Words:
    """Read the elements of sets, as ``nft list`` writes them or ``nft -f`` reads them."""
    # What stands outside of braces begins with a word that is nothing like an address.
    for part in NFT_BRACES.sub(",", line).split(","):
        words = part.split()
        if words and ELEMENT.match(words[0]):
            yield words[0]


def read_csv(line: str, delimiter: str, column: int) -> Words:
    """Read one column of a table; a line that is too short for it is bad."""
    if _is_comment(line):
        return
    cells = _cells(line, delimiter)
    word = cells[column] if len(cells) > column else line.strip()
    # A heading begins with a letter, and has no digit or colon as each address has.
    if not (word.replace("_", " ").replace(" ", "").isalpha() or word.lower() in HEADINGS):
        yield word


HEADINGS: Final = ("ipv4", "ipv6", "ip4", "ip6", "src-ip", "dst-ip")


def _is_comment(line: str) -> bool:
    text = line.strip()
    return not text or text.startswith(COMMENT)


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        row = next(csv.reader([line.strip()], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []
    return [cell.strip() for cell in row]


def _find_column(lines: Iterable[str]) -> tuple[str, int] | None:
    """Return the delimiter and the number of the column that holds most entries.

    None when a plain list does as well: the first word of each line.
    """
    lines = list(lines)[:HEAD_LINES]
    best, most = None, sum(is_entry(word) for line in lines for word in read_list(line))
    # A heading would be a bad line of a plain list.
    if most and lines and not is_entry(next(read_list(lines[0]), "")):
        most -= 1
    for delimiter in DELIMITERS:
        rows = [_cells(line, delimiter) for line in lines]
        for column in range(max(map(len, rows), default=0)):
            count = sum(len(row) > column > -1 and is_entry(row[column]) for row in rows)
            if count > most and max(map(len, rows)) > 1:
                best, most = (delimiter, column), count
    return best
