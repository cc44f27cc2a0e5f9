"""A progress bar: on stderr, and only on a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm


def bar(
    *, total: int | None, label: str, unit: str, is_wanted: bool = True, delay_seconds: float = 0
) -> "tqdm[Any]":
    """Return a bar to ``update()``; what is done within ``delay_seconds`` shows none."""
    from tqdm import tqdm  # noqa: PLC0415 - not for the commands that show no bar

    return tqdm(
        total=total,
        desc=label,
        unit=unit,
        unit_scale=True,
        file=sys.stderr,
        disable=not (is_wanted and sys.stderr.isatty()),
        delay=delay_seconds,
        dynamic_ncols=True,
        # One that came late goes away again: what was done is said below it.
        leave=not delay_seconds,
    )


@contextmanager
def cleared() -> Iterator[None]:
    """Take the bars away while something else is written to the terminal."""
    from tqdm import tqdm  # noqa: PLC0415 - as above

    with tqdm.external_write_mode(file=sys.stderr):
        yield
