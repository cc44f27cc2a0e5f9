"""The words and signs of the language of nftables, in linear time and bounded memory."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

# White space is passed over, and quotes of a shell with it. A backslash joins two lines; in a
# command of a shell it stands before a brace or semicolon as well. A string that is as short as
# nftables allows may hold line ends; any other ends with its line.
TOKEN: Final = re.compile(r"""[\n{};,=]|\\\n?|\#[^\n]*|"[^"]{0,128}"|"[^"\n]*"?|[^\s{};,="'#\\]+""")
# These are whole as soon as they begin; all others may go on in the next part of the text.
SIGNS: Final = frozenset("\n{};,=")
NEW_LINE: Final = "\n"
# As long as a string with line ends, and its quotes.
MAX_STRING: Final = 130
# What is longer is cut off: no word, comment or string that means something is as long.
MAX_TOKEN: Final = 2000


def tokenize(chunks: Iterable[str]) -> Iterator[str]:
    """Give all words, strings, comments, signs and line ends of a text that comes in parts."""
    rest = ""
    for chunk in chain(filter(None, chunks), [""]):
        text, rest = rest + chunk, ""
        # From here on a token may go on in the next part.
        doubtful = len(text) - MAX_STRING if chunk else len(text)
        for match in TOKEN.finditer(text):
            word = match[0]
            if match.end() > doubtful and _may_go_on(match):
                rest = text[match.start() :] if is_open(word) else word
                rest = rest[:MAX_TOKEN]
                break
            yield word


def is_open(word: str) -> bool:
    """Tell whether ``word`` is a string without its end."""
    return word[0] == '"' and (len(word) == 1 or word[-1] != '"')


def _may_go_on(match: re.Match[str]) -> bool:
    is_last = match.end() == len(match.string)
    if is_open(match[0]):
        return is_last or len(match.string) - match.start() < MAX_STRING
    return is_last and match[0] not in SIGNS
