"""``python -m tests.outages``: stop the parts of a site one by one; what do its operators see?

Starts a Redis and a PostgreSQL of its own, two workers of gunicorn and the scheduler, and ends them
again. Sections, each of which runs where the site has its addresses: ``settings`` changes a setting
in the admin, and measures when each process follows; ``outages`` stops each part and starts it
again, and prints what health, metrics and look-ups said meanwhile; ``scrapes`` takes the time of a
scrape while all is well. The exit code is 1 where a process does not follow within 10 seconds, a
probe takes longer than 200 ms, or the site does not recover.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

import django

from tests.outages import following, interruptions, tables, watch
from tests.outages.site import Site, a_site, missing_programs
from tests.support.processes import ROOT

# The settings last: they are left changed.
SECTIONS: Final = ("scrapes", "outages", "settings")
STOPS = (signal.SIGINT, signal.SIGTERM)
SCRAPES: Final = 100


def main() -> int:
    """Run the sections that were asked for."""
    options = _parse()
    if missing := missing_programs():
        sys.exit(f"not installed: {', '.join(missing)}")
    for number in STOPS:
        signal.signal(number, _stop)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    with a_site(options.code) as site:
        site.begin()
        found = run(site, options)
    print(json.dumps(found) if options.json else tables.text(found), flush=True)
    return 0 if is_good(found) else 1


def run(site: Site, options: argparse.Namespace) -> dict[str, Any]:
    """Return what each section found, as plain JSON; None for one that the site has not."""
    found: dict[str, Any] = {}
    paths = interruptions.paths_of(site)
    for section in [one for one in SECTIONS if not options.only or one in options.only]:
        if section == "settings":
            found[section] = following.follow(site, options.rounds)
        elif section == "scrapes":
            found[section] = scrapes(site) if watch.METRICS in paths else None
        elif section == "outages":
            found[section] = outages(site, paths, options)
    return found


def outages(site: Site, paths: list[str], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Stop each part, and start it again."""
    found, has_service = [], False
    for outage in interruptions.OUTAGES:
        if options.outage and outage.name not in options.outage:
            continue
        if outage.has_service != has_service:
            has_service = outage.has_service
            site.use(site.a_service() if has_service else None)
            site.start_web()
        seconds = max(options.seconds, 0 if options.short else outage.least_seconds)
        said = outage.said if options.short else ""
        found.append(interruptions.interrupt(site, outage, paths, seconds, said))
        print(outage.name, file=sys.stderr, flush=True)
    return found


def scrapes(site: Site) -> dict[str, Any]:
    """Take the time of scrapes, one after another."""
    seen = watch.Seen()
    for _ in range(SCRAPES):
        seen.add(watch.ask(site.port, watch.METRICS, watch.MONITORING))
    assert seen.last is not None
    return seen.figures() | {"bytes": len(seen.last.body)}


def is_good(found: dict[str, Any]) -> bool:
    """Tell whether the site does what is promised."""
    followed = found.get("settings")
    return (not followed or following.is_good(followed)) and all(
        interruptions.is_good(one) for one in found.get("outages", ())
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.outages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", choices=SECTIONS, help="run this section")
    names = [one.name for one in interruptions.OUTAGES]
    parser.add_argument("--outage", action="append", choices=names, help="try this one only")
    parser.add_argument("--seconds", type=float, default=12, help="that each part is away")
    parser.add_argument(
        "--short", action="store_true", help="no longer than that, or than health takes to tell"
    )
    parser.add_argument("--rounds", type=int, default=4, help="changes of each setting")
    parser.add_argument("--code", type=Path, default=ROOT, help="the checkout that is served")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    return parser.parse_args()


def _stop(*_: object) -> None:
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(130)


if __name__ == "__main__":
    sys.exit(main())
