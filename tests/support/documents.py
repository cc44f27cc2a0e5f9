"""Examples of the documents."""

import re

from tests.support.processes import ROOT


def examples(document: str, heading: str, language: str) -> list[str]:
    """Return the blocks of code in one language below a heading of a page in docs/."""
    page = (ROOT / "docs" / document).read_text()
    after = re.split(rf"^##+ {heading}\n", page, flags=re.MULTILINE)[1]
    section = re.split(r"^##+ ", after, flags=re.MULTILINE)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
