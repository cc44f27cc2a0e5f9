"""Write ``docs/log-events.md`` from the catalogue: ``uv run python -m tests.log_events_page``."""

from pathlib import Path
from typing import Final

from geocache.log_events import EVENTS, KEYS, LogEvent, page_of

PAGE: Final = Path(__file__).resolve().parent.parent / "docs/log-events.md"
HEAD: Final = """\
# Events of the log

Made of `geocache/log_events.py` by `uv run python -m tests.log_events_page`: change it there.

[`operations.md`](operations.md#the-log) says where the lines go. An event always has the same keys,
in the same order. One that does not apply is None; none is left out.
Warnings and errors also have the key `help`: the page with what to do, as in the last column.

"""


def written() -> str:
    """Return the whole document."""
    events = "".join(_row(name, event) for name, event in EVENTS.items())
    keys = "".join(f"| `{key}` | {meaning} |\n" for key, meaning in KEYS.items())
    return (
        f"{HEAD}"
        "## Events\n\n"
        "| event | level | keys | logged when | what to do |\n|---|---|---|---|---|\n"
        f"{events}\n"
        "## Keys\n\n"
        "A key means the same in every event.\n\n"
        "| key | is |\n|---|---|\n"
        f"{keys}"
    )


def _row(name: str, event: LogEvent) -> str:
    keys = " ".join(f"`{key}`" for key in event.keys) or "-"
    link = page_of(name).removeprefix("docs/")
    page = f"[{event.anchor}]({link})" if link else "-"
    return f"| `{name}` | {event.level} | {keys} | {event.when} | {page} |\n"


if __name__ == "__main__":
    PAGE.write_text(written())
