"""Receivers of signals, connected for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.dispatch import Signal


class Heard(list[dict[str, Any]]):
    """The values of each signal that was sent."""

    def __call__(self, **values: Any) -> None:
        del values["signal"]
        self.append(values)


@contextmanager
def receiving(signal: Signal) -> Iterator[Heard]:
    """Give the values of what is sent."""
    heard = Heard()
    with connected(signal, heard):
        yield heard


@contextmanager
def connected(signal: Signal, receiver: Callable[..., Any]) -> Iterator[None]:
    signal.connect(receiver, weak=False)
    try:
        yield
    finally:
        signal.disconnect(receiver)
