"""What was found, as text for people."""

from typing import Any

from tests.outages.watch import LIVE, LOOKUP, METRICS, READY

NAMES = {LIVE: "live", READY: "ready", METRICS: "scrape", LOOKUP: "look-up"}


def text(found: dict[str, Any]) -> str:
    """Return all sections."""
    parts = []
    for name, one in found.items():
        parts.append(f"\n{name}\n{'=' * len(name)}")
        parts.append("not in this checkout" if one is None else _SECTIONS[name](one))
    return "\n".join(parts)


def _settings(found: dict[str, Any]) -> str:
    lines = ["seconds after the form was sent, at which each worker followed:"]
    lines += [f"  {round_}" for round_ in found["workers"]]
    lines.append("seconds until the flush ran in the new interval, and the interval:")
    lines += [f"  {one}" for one in found["scheduler"]]
    return "\n".join(lines)


def _outages(found: list[dict[str, Any]]) -> str:
    return "\n".join(_outage(one) for one in found)


def _outage(one: dict[str, Any]) -> str:
    lines = [f"{one['outage']} ({one['seconds']:.0f} s)"]
    for path, seen in one["seen"].items():
        said = {f"{seen['statuses']}": ""} | seen["results"]
        words = " ".join(f"{name}{f' x{count}' if count else ''}" for name, count in said.items())
        figures = f"median {seen['median_ms']} ms, max {seen['max_ms']} ms"
        lines.append(f"  {NAMES[path]:<8} {words}; {figures}")
    probes = one["seen"].get(READY, {}).get("count", 0)
    lines += [f"  part     {name}: {count} of {probes}" for name, count in one["parts"].items()]
    lines += [f"  says     {name}: {said}" for name, said in one["texts"].items()]
    lines += [f"  metric   {name}: {change}" for name, change in one["metrics"].items()]
    back = one["back_seconds"]
    lines.append(f"  well again {f'after {back} s' if back is not None else 'NOT AGAIN'}")
    if back is None:
        lines += [f"  before: {one['before']}", f"  now:    {one['now']}"]
    return "\n".join(lines)


def _scrapes(found: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.items())


_SECTIONS = {"settings": _settings, "outages": _outages, "scrapes": _scrapes}
