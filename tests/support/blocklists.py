"""Make and import blocklists, and read their entries from the table."""

import io
from typing import Any

from geocache.blocklists import apply
from geocache.blocklists.outcome import Outcome
from geocache.blocklists.sources import Origin
from geocache.blocklists.spool import spooled
from geocache.models import ListedAddress


def kept(text: str | bytes, folder: str = "") -> Any:
    """Return the content of a list, spooled."""
    data = text.encode() if isinstance(text, str) else text
    return spooled(io.BufferedReader(io.BytesIO(data)), folder)  # type: ignore[arg-type]


def a_list(*entries: str) -> str:
    return "".join(f"{entry}\n" for entry in entries)


def imported(*entries: str, name: str = "test", **options: Any) -> Outcome:
    with kept(a_list(*entries)) as content:
        return apply.import_list(Origin(name, ""), content, **options)


def listed(name: str = "test") -> list[str]:
    rows = ListedAddress.objects.listed().filter(source__name=name).in_order()
    return list(rows.values_list("entry", flat=True))
