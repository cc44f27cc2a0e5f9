"""One element of a set, as nftables writes it: ``9.9.9.9 . 22 timeout 1h comment "seen"``."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from geocache.blocklists.formats.firewalls.sets import split_components
from geocache.blocklists.formats.nftables.tokens import is_open

# The words behind an element, and what follows each: "*" is any word, others may be left out.
# The first three are followed by one word.
OPTIONS: Final = {
    "timeout": (),
    "expires": (),
    "comment": (),
    "counter": ("packets", "*", "bytes", "*"),
    "quota": ("over", "until", "*", "*", "used", "*", "*"),
    "limit": ("rate", "over", "*", "*", "burst", "*", "*"),
    "last": ("used", "*"),
    "ct": ("count", "over", "*"),
}
# More words than any element has.
MAX_WORDS: Final = 30


NOT_UNDERSTOOD: Final = "is not an element that is understood"


class Value(NamedTuple):
    """An element, or a variable that stands for some."""

    line_number: int
    text: str
    comment: str = ""
    rest: str = ""
    problem: str = ""
    # The elements are those of this definition.
    variable: str = ""


def read_value(line_number: int, words: Sequence[str]) -> Value:
    """Read the words between two commas."""
    first = words[0]
    if len(words) == 1 and first[0] not in '$"':
        return Value(line_number, first)
    if len(words) == 1 and first[0] == "$":
        return Value(line_number, first, variable=first[1:])
    end = next((index for index, word in enumerate(words) if word in OPTIONS), len(words))
    comment, unknown = _options(words[end:])
    if end == 1 and not unknown and first[0] not in '$"':
        return Value(line_number, first, comment)
    shown = " ".join(words[:MAX_WORDS])
    if ":" in words:
        return Value(line_number, shown, problem="is an element of a map")
    if unknown or not end or len(words) > MAX_WORDS or any(map(is_open, words)):
        return Value(line_number, shown, problem=NOT_UNDERSTOOD)
    text, rest, problem = split_components(list(_components(words[:end])))
    return Value(line_number, shown if problem else text, comment, rest, problem)


def _components(words: Sequence[str]) -> Iterator[str]:
    """Give what stands between single dots; a dash or slash joins what is beside it."""
    parts: list[str] = []
    for word in [*words, "."]:
        if word != ".":
            is_joined = parts and (word[0] in "-/" or parts[-1][-1] in "-/")
            # Two words without anything between them are not one.
            parts.append(word if is_joined or not parts else f" {word}")
        else:
            yield "".join(parts).strip('"')
            parts = []


def _options(words: Sequence[str]) -> tuple[str, str]:
    """Return the comment among the options, and the first word that is not understood."""
    comment, index = "", 0
    while index < len(words):
        word, following = words[index], words[index + 1] if index + 1 < len(words) else ""
        if word == "comment":
            if not following or is_open(following):
                return comment, word
            comment, index = following.strip('"'), index + 2
        elif word in ("timeout", "expires"):
            index += 2
        elif word in OPTIONS:
            index = _after(OPTIONS[word], words, index + 1)
        else:
            return comment, word
    return comment, ""


def _after(pattern: Sequence[str], words: Sequence[str], index: int) -> int:
    """Return where an option ends; "*" is any word, others may be left out."""
    for expected in pattern:
        if index == len(words) or words[index] in OPTIONS:
            break
        index += expected in ("*", words[index])
    return index
