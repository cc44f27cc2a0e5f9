"""Small files as people hand them in, and beside each what is to be read of it."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import pytest

from geocache.addresses.blocks import parse_entries
from geocache.blocklists.formats.base import BadLine, Element, Format, Found, Head, Options
from geocache.exceptions import ImportFailed, InvalidAddress
from tests.support.formats import TextSource

ROOT: Final = Path(__file__).parent.parent / "blocklists" / "formats"
SMALL_CHUNK: Final = 7


def case_names(folder: str) -> list[str]:
    """Return the names of the files of a format."""
    return sorted(path.stem for path in (ROOT / folder).glob("*.expected"))


def check_case(form: Format, folder: str, name: str) -> None:
    """Read a file, cut anywhere, and compare with what its neighbour says."""
    path = ROOT / folder / name
    expected = path.with_name(f"{name}.expected").read_text().splitlines()
    options_file = path.with_name(f"{name}.options")
    options = json.loads(options_file.read_text()) if options_file.exists() else {}
    source = TextSource(path.read_text(), chunk_size=SMALL_CHUNK)
    assert options or form.matches(Head(tuple(one.text for one in islice(source.lines(), 60))))
    if expected and expected[0].startswith("? "):
        with pytest.raises(ImportFailed, match=re.escape(expected[0][2:])):
            list(form.read(source, Options(**options)))
        return
    lines = [line for one in form.read(source, Options(**options)) for line in _said(one)]
    assert sorted(lines, key=lambda line: line.startswith("! ")) == expected


def _said(found: Found) -> Iterator[str]:
    if isinstance(found, BadLine):
        yield f"! {found.line_number}"
    elif isinstance(found, Element):
        try:
            entries = [entry.text for text in found.texts for entry in parse_entries(text)]
        except InvalidAddress:
            yield f"! {found.line_number}"
        else:
            for text in entries:
                yield f"{text}\t\t{found.comment}" if found.comment else text
