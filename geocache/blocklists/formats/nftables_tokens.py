"""The words and signs of the language of nftables, in linear time and bounded memory."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

# White space is passed over, and quotes of a shell with it. A backslash joins two lines; in a
# command of a shell it stands before a brace or semicolon as well.
TOKEN: Final = re.compile(r"""[\n{};,=]|\\\n?|\#[^\n]*|"[^"\n]*"?|[^\s{};,="'#\\]+""")
# These are whole as soon as they begin; all others may go on in the next part of the text.
SIGNS: Final = frozenset("\n{};,=")
NEW_LINE: Final = "\n"
JOINED_LINES: Final = "\\\n"
# What is longer is cut off: no word, comment or string that means something is as long.
MAX_TOKEN: Final = 2000


def tokenize(chunks: Iterable[str]) -> Iterator[str]:
    """Give all words, strings, comments, signs and line ends of a text that comes in parts."""
    rest = ""
    for chunk in chunks:
        text, found, end = rest + chunk, "", 0
        for match in TOKEN.finditer(text):
            if found:
                yield found
            found, end = match[0], match.end()
        rest = ""
        if found and end == len(text) and found not in SIGNS:
            rest = found[:MAX_TOKEN]
        elif found:
            yield found
    if rest:
        yield rest
