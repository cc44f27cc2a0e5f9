"""The statements of the language of nftables: words, and what ends them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from geocache.blocklists.formats.base import Remark
from geocache.blocklists.formats.nftables.tokens import NEW_LINE, tokenize

ELEMENT_ENDS: Final = frozenset((",", "{", "}"))
STATEMENT_ENDS: Final = frozenset(("\n", ";", "{", "}", ""))
# A statement has fewer words; what is beyond is passed over.
MAX_WORDS: Final = 100
MAX_REMARKS: Final = 20
RULE_ENDS: Final = frozenset((NEW_LINE, ";"))
ACCEPTING: Final = frozenset(("accept", "return"))
NOT_IN: Final = ["!", "="]


class Statements:
    """One reading of a file."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self._tokens = tokenize(chunks)
        self._line = 1
        # Where the present statement began, and what ended it.
        self._start = 1
        self._end = NEW_LINE
        # Of braces.
        self._depth = 0
        self._remarks: list[Remark] = []
        self._remark_count = 0
        # The sets of which rules let those through that are in them, since this was asked last.
        self._allowed: set[str] = set()

    def _statement(self) -> list[str]:
        """Return the words up to what ends them: a line end, ``;``, a brace or the end."""
        words: list[str] = []
        while (word := self._next()) not in STATEMENT_ENDS:
            if not words:
                self._start = self._line
            if len(words) < MAX_WORDS:
                words.append(word)
        self._end = word
        return words

    def _next(self) -> str:
        for word in self._tokens:
            if word[0] == "#":
                self._remember(word)
            elif word == NEW_LINE:
                self._line += 1
                return word
            elif word[0] == "\\":
                self._line += word.count(NEW_LINE)
            else:
                self._line += word[0] == '"' and word.count(NEW_LINE)
                self._depth += (word == "{") - (word == "}" and self._depth > 0)
                return word
        return ""

    def _remember(self, comment: str) -> None:
        text = comment.strip("# \t")
        # ``nft -a`` writes the number of each object so.
        if text and comment[1] != "!" and not text.startswith("handle "):
            self._remark_count += 1
            if self._remark_count <= MAX_REMARKS:
                self._remarks.append(Remark(text))

    def _pass_over_block(self) -> None:
        """Pass over a block that has nothing to do with sets, if one begins here."""
        if self._end == "{":
            outside, rule = self._depth - 1, list[str]()
            while self._depth > outside and (word := self._next()):
                if word in RULE_ENDS:
                    self._note_rule(rule)
                    rule.clear()
                elif len(rule) < MAX_WORDS:
                    rule.append(word)
            self._note_rule(rule)
            self._end = NEW_LINE if word else ""

    def _note_rule(self, words: Sequence[str]) -> None:
        """Note the sets that a rule accepts, or does without."""
        is_accepting = not ACCEPTING.isdisjoint(words)
        for index, word in enumerate(words):
            if word[0] == "@" and (is_accepting or words[max(0, index - 2) : index] == NOT_IN):
                self._allowed.add(word[1:])

    def _read_rule(self, words: list[str]) -> None:
        """Read the rest of a rule: it goes on after the braces of a set without a name."""
        rule = list(words)
        while self._end == "{":
            self._pass_over_block()
            if self._end:
                rule += self._statement()
        self._note_rule(rule)

    def _close(self) -> None:
        """Go on after the brace that ends a block."""
        if self._end == "}":
            self._end = NEW_LINE

    def _in_block(self, words: list[str]) -> Iterator[str]:
        """Add to ``words`` up to each comma or brace, and give that; "" is the end of the file.

        There a line end is a sign as well: words that it follows are whole.
        """
        outside, before = self._depth - 1, ""
        for word in self._tokens:
            if word in ELEMENT_ENDS:
                self._depth += (word == "{") - (word == "}")
                yield word
                if self._depth == outside:
                    self._end = NEW_LINE
                    return
            elif word[0] in "\n\\":
                self._line += word.count(NEW_LINE)
            elif word[0] != "#":
                if not words:
                    self._start = self._line
                if len(words) < MAX_WORDS:
                    words.append(word)
                self._line += word[0] == '"' and word.count(NEW_LINE)
            before = word
        self._end = ""
        yield NEW_LINE if before == NEW_LINE else ""
