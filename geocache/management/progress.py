"""A progress bar: on stderr, only on a terminal, and only where its library is installed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, cast

from geocache import extras

if TYPE_CHECKING:
    from tqdm import tqdm

    Bar = tqdm[Any]


class HiddenBar:
    """All that the commands ask of a bar, where none is shown."""

    n = 0
    total: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, _: float | None = 1) -> None:
        """Show nothing."""

    def reset(self, total: float | None = None) -> None:
        """Show nothing."""

    def set_description(self, _: str | None = None) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""


def bar(
    *, total: int | None, label: str, unit: str, is_wanted: bool = True, delay_seconds: float = 0
) -> "Bar":
    """Return a bar to ``update()``; what is done within ``delay_seconds`` shows none."""
    if not (is_wanted and sys.stderr.isatty() and extras.is_installed("tqdm")):
        return cast("Bar", HiddenBar())
    from tqdm import tqdm  # noqa: PLC0415 - only where a bar is shown

    return tqdm(
        total=total,
        desc=label,
        unit=unit,
        unit_scale=True,
        file=sys.stderr,
        delay=delay_seconds,
        dynamic_ncols=True,
        # One that came late goes away again: what was done is said below it.
        leave=not delay_seconds,
    )


@contextmanager
def cleared() -> Iterator[None]:
    """Take the bars away while something else is written to the terminal."""
    if "tqdm" not in sys.modules:
        yield
        return
    from tqdm import tqdm  # noqa: PLC0415 - there is one

    with tqdm.external_write_mode(file=sys.stderr):
        yield
