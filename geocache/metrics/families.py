"""Families of samples, as ``prometheus_client`` has them, with geocache's names and units."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, TypeAlias

from geocache import extras

with extras.needed("metrics"):
    from prometheus_client import core

Metric: TypeAlias = core.Metric
Value: TypeAlias = float | datetime | None
PREFIX: Final = "geocache_"


def gauge(name: str, text: str, value: Value) -> Metric:
    """Return a gauge without labels; without a sample where there is no value yet."""
    return core.GaugeMetricFamily(PREFIX + name, text, _number(value), unit=_unit(name))


def gauges(name: str, text: str, label: str, values: Iterable[tuple[str, Value]]) -> Metric:
    """Return a gauge with one label."""
    family = core.GaugeMetricFamily(PREFIX + name, text, labels=[label], unit=_unit(name))
    # Of several with one name the last: a sample that is there twice makes a scrape invalid.
    for key, value in dict(values).items():
        if (number := _number(value)) is not None:
            family.add_metric([key], number)
    return family


def counter(name: str, text: str, value: float | None) -> Metric:
    """Return a counter without labels; ``_total`` is added to its name."""
    return core.CounterMetricFamily(PREFIX + name, text, value, unit=_unit(name))


def counters(
    name: str, text: str, labels: list[str], values: Mapping[tuple[str, ...], float]
) -> Metric:
    """Return a counter with labels."""
    family = core.CounterMetricFamily(PREFIX + name, text, labels=labels, unit=_unit(name))
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family


def states(
    name: str, text: str, label: str, all_states: Iterable[str], values: Mapping[str, str]
) -> Metric:
    """Return a set of states: of each, whether a thing is in it."""
    known = list(all_states)
    family = core.StateSetMetricFamily(PREFIX + name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], {one: one == value for one in known})
    return family


def info(name: str, text: str, value: dict[str, str]) -> Metric:
    """Return texts as the labels of a sample that is always 1."""
    return core.InfoMetricFamily(PREFIX + name, text, value)


def histogram(
    name: str,
    text: str,
    label: str,
    bounds: Iterable[float],
    values: Mapping[str, tuple[list[int], float]],
) -> Metric:
    """Return a histogram with one label: by its value, how many are in each bucket, and the sum."""
    upper = [*map(str, bounds), "+Inf"]
    family = core.HistogramMetricFamily(PREFIX + name, text, labels=[label], unit=_unit(name))
    for key, (numbers, total) in values.items():
        running = [sum(numbers[: position + 1]) for position in range(len(numbers))]
        family.add_metric([key], list(zip(upper, running, strict=True)), total)
    return family


def _unit(name: str) -> str:
    return "seconds" if name.endswith("_seconds") else ""


def _number(value: Value) -> float | None:
    return value.timestamp() if isinstance(value, datetime) else value
