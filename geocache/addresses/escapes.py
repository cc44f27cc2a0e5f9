"""Undo what hides an address from a reader: escapes of URLs, JSON, HTML, terminals; defanging."""

import re
from typing import Final

# One pass, in which no part gives back what it took. Only punctuation is restored, so that no digit
# of an address is ever made up; and ``%25`` is looked through, however often it was escaped again.
ESCAPE: Final = re.compile(
    r"""
    [%\\&\[({\x1b\ufffd]                # what each begins with: most of a text is passed over
    (?:
        (?<=%)(?:25)*+(?P<percent>2[0-9A-Fa-f]|3[A-Fa-f]|40|5[BDbd]|7[BDbd]|0[9ADad])   # %20, %252F
        | (?<=\\)(?<!\\\\)\\*+(?:
            (?:x|u00)(?P<code>2[0-9A-Fa-f]|3[A-Fa-f]|40|5[BDbd]|7[BDbd])        # \x22, \u003c
            | (?P<space>[nrt])                                                          # \n in JSON
            | (?=["'./:()\[\]-])                                                # \/, 9\.9\.9\.9
        )
        | (?<=&)(?P<entity>quot|apos|lt|gt|amp|nbsp|sol|\#3[49]|\#47|\#x2[27Ff]);
        | (?<=[\x1b\ufffd])\[(?P<colour>[0-9;]{0,16})[mK]  # of a terminal, ESC perhaps replaced
        | (?<=[0-9].)(?P<dot>\.|(?i:dot))[\])}](?=[0-9])   # 9[.]9, 9(dot)9
        | (?<=[\[({])(?P<colons>:{1,2}(?://)?)[\])}]       # 2620[:]fe[::]9
    )
    """,
    re.VERBOSE,
)
SLASHES: Final = ("sol", "#47", "#x2f")


def unescaped(line: str) -> str:
    """Return ``line`` as its writer saw it, at least where an address may stand."""
    return ESCAPE.sub(_meant, line)


def _meant(match: re.Match[str]) -> str:
    kind, text = match.lastgroup, match[match.lastgroup or 0]
    match kind:
        case "percent" | "code":
            return chr(int(text, 16))
        case "entity":
            return "/" if text.lower() in SLASHES else '"'
        case "space" | "colour":
            return " "
        case "dot":
            return "."
        case "colons":
            return text
    return ""  # a backslash before punctuation
