"""``manage.py demo_geo``: from nothing to a site with a few thousand answers, in one command."""

import argparse
import json
import math
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.urls import NoReverseMatch, reverse

import geocache
from geocache import conf
from geocache.management import address_input, demo_admin, demo_table, progress
from geocache.management.base_command import ShellCommand
from geocache.management.demo_run import Trial
from geocache.management.options import add_json
from geocache.management.source_output import describe_source
from geocache.management.subprocesses import Children, stopping_signals
from geocache.management.text_tables import pairs
from geocache.mounts import page_url
from geocache.providers import factory

HOST: Final = "127.0.0.1"
SAMPLE: Final = Path(geocache.__file__).with_name("data") / "sample_addresses.txt"
START_SECONDS: Final = 30.0
NO_SAMPLE: Final = (
    "The sample of addresses is not installed: name a list or log of your own with --addresses."
)
MIXED: Final = (
    "Nothing was done: the table has rows of its own, and the demo would add up to {count:,}. "
    "Run it on a database of its own, or with --force."
)


class Command(ShellCommand):
    """Show what geocache does, on this machine."""

    help = (
        "Try geocache: make the tables and an admin user, look up a few thousand addresses, flush "
        "the answers to the table, then run the scheduler and a web server until Ctrl-C. It can be "
        "run again at any time."
    )
    examples = """\
  manage.py demo_geo
  manage.py demo_geo --port 8080 --addresses banned.txt
  manage.py demo_geo --no-serve
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to look up and where to serve."""
        parser.add_argument(
            "--addresses",
            metavar="FILE",
            help="look up the addresses in this list or log (default: a sample of 3,000, which "
            "is in a checkout of geocache alone)",
        )
        parser.add_argument(
            "--no-serve",
            action="store_false",
            dest="is_serving",
            help="end after the figures, without scheduler and web server",
        )
        parser.add_argument(
            "--force",
            action="store_true",
            dest="is_forced",
            help="write also into a table that has rows of its own",
        )
        parser.add_argument(
            "--port", type=port_number, default=8000, help=f"port on {HOST} (default: 8000)"
        )
        add_json(parser, "the figures as one JSON object on stdout, all else on stderr")

    def handle(
        self,
        *,
        addresses: str | None,
        is_serving: bool,
        is_forced: bool,
        port: int,
        is_json: bool,
        **_: Any,
    ) -> None:
        """Run until the end, Ctrl-C or SIGTERM, all of which are a success."""
        self.is_json = is_json
        try:
            with stopping_signals(signal.default_int_handler):
                self._run(addresses, port if is_serving else None, is_forced=is_forced)
        except KeyboardInterrupt:
            self._say("Stopped.")

    def _run(self, path: str | None, port: int | None, *, is_forced: bool) -> None:
        # What can be found wrong is found before the work starts.
        if not conf.is_debug():
            raise CommandError("The demo makes an admin user: it runs with DEBUG=true only.")
        if path is None and not SAMPLE.is_file():
            raise CommandError(NO_SAMPLE)
        if port is not None:
            check_port(port)
        factory.current().build()
        addresses = self._read(path or str(SAMPLE))
        # Before anything is migrated.
        if not is_forced and demo_table.would_mix(addresses, self._sample()):
            raise CommandError(MIXED.format(count=len(set(addresses))))
        self._prepare()
        self._show(self._try(addresses))
        if port is not None:
            self._serve(port)

    def _say(self, text: str) -> None:
        out = self.stderr if self.is_json else self.stdout
        out.write(text, str)
        out.flush()

    def _read(self, path: str) -> list[str]:
        with address_input.opened(path) as file:
            chunks = list(address_input.from_file(file))
        if problems := [one for chunk in chunks for one in chunk.problems]:
            self.stderr.write("\n".join(problems))
        if not (addresses := [one for chunk in chunks for one in chunk.addresses]):
            raise CommandError(f"{path!r} has no addresses.")
        return addresses

    def _sample(self) -> list[str]:
        if not SAMPLE.is_file():
            return []
        with address_input.opened(str(SAMPLE)) as file:
            return [one for chunk in address_input.from_file(file) for one in chunk.addresses]

    def _prepare(self) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        self._say("The database is ready.")
        self._say(str(demo_admin.prepare()))

    def _try(self, addresses: list[str]) -> Trial:
        trial = Trial()
        total = len(addresses)
        with progress.bar(total=total, label="Looking up", unit=" addresses") as bar:
            trial.resolve(addresses, bar.update)
        self._say(_dirty(trial))
        trial.flush()
        return trial

    def _show(self, trial: Trial) -> None:
        if self.is_json:
            self.stdout.write(json.dumps(trial.to_plain()))
            self.stdout.flush()
        self._say(f"\n{pairs(_figures(trial))}")
        for source in factory.current().sources():
            self._say(f"\n{describe_source(source)}")

    def _serve(self, port: int) -> None:
        children = Children()
        with stopping_signals(children.ask_to_stop):
            try:
                problem = self._watch(children, port)
                self._say("Stopping ...")
            finally:
                children.end()
        if problem:
            raise CommandError(problem)
        self._say("Stopped.")

    def _watch(self, children: Children, port: int) -> str:
        """Run until a signal comes or a child ends; return what went wrong, or the empty text."""
        # Nobody who tries a demo has asked for a download of hundreds of megabytes.
        children.start("The scheduler", ["schedule_geo"], GEOCACHE_UPDATE_DAYS="0")
        children.start("The web server", ["runserver", "--noreload", f"{HOST}:{port}"])
        if children.wait_until(lambda: is_listening(port), START_SECONDS):
            self._say(f"\n{pairs(pages_on(port))}\n\nCtrl-C ends it.")
            children.wait_until(lambda: False, math.inf)
        elif not (children.stop_count or children.ended()):
            return f"The web server did not answer within {START_SECONDS:.0f} seconds."
        return "" if children.stop_count else children.ended()


def port_number(text: str) -> int:
    """Return a port; raise ``ArgumentTypeError`` when there is none of that number."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 2**16):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, a number from 1 to 65535")
    return int(text)


def check_port(port: int) -> None:
    """Raise ``CommandError`` when the web server will not get ``port``."""
    with socket.socket() as probe:
        # As the web server does it: what an earlier one has left behind is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise CommandError(
                f"{HOST}:{port} cannot be used: {error.strerror}. Choose another --port."
            ) from error


def is_listening(port: int) -> bool:
    """Tell whether something accepts connections on ``port``."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _dirty(trial: Trial) -> str:
    if not trial.pending_count:
        return "No answer is dirty: all were known from before, or are in the table already."
    return (
        f"{trial.pending_count:,} answers are dirty: they are in the cache, "
        "and not in the table yet. Flushing ..."
    )


def _figures(trial: Trial) -> list[tuple[str, str]]:
    return [
        ("Addresses", f"{trial.address_count:>9,}, of which {trial.found_count:,} were found"),
        ("Countries", f"{len(trial.countries):>9,}"),
        ("First look-ups", f"{trial.first_rate:>9,} addresses per second"),
        ("Known ones", f"{trial.known_rate:>9,} addresses per second"),
        ("Flushed", f"{trial.flushed_count:>9,} in {trial.flush_seconds:.2f} seconds"),
        ("Pending", f"{trial.left_count:>9,}"),
        ("Rows", f"{trial.row_count or 0:>9,} in the table"),
    ]


def pages_on(port: int) -> list[tuple[str, str]]:
    """Return the pages that this project has."""
    paths = [("Dashboard", page_url("dashboard")), ("Look-up page", page_url("lookup"))]
    with suppress(NoReverseMatch):
        paths.append(("Admin", reverse("admin:index")))
    found = [(name, f"http://{HOST}:{port}{path}") for name, path in paths if path]
    return found or [("Site", f"http://{HOST}:{port}/")]
