"""What the commands share: help with examples, and failures that are one line."""

import argparse
import errno
import io
import os
import sys
from typing import Any, Literal

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)

from geocache import site_counters
from geocache.exceptions import GeocacheError
from geocache.log_events import TROUBLESHOOTING
from geocache.models.connection import DATABASE_ERRORS
from geocache.providers.mmdb_verification import waiting_for_verification
from geocache.runtime_settings import follow, overrides
from geocache.text import first_line

INTERRUPTED = 130
DATABASE_PAGE = f"{TROUBLESHOOTING}#database-unavailable"


class HelpFormatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Django's own, with the examples in their lines."""


class ShellCommand(BaseCommand):
    """A command that shows no traceback for what can go wrong in use."""

    # What a broken database file or an unfit cache means for it, each command says in one line; the
    # checks would end even the command that is there to show what is wrong.
    requires_system_checks: list[str] | tuple[str, ...] | Literal["__all__"] = ()
    # False: it answers without the database, which it asks only if no other process did just now.
    needs_database = True
    # Lines below the help, each a command and what it does.
    examples: str = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Put the examples below the options."""
        return super().create_parser(
            prog_name,
            subcommand,
            epilog=f"examples:\n{self.examples}",
            formatter_class=HelpFormatter,
            **kwargs,
        )

    def run_from_argv(self, argv: list[str]) -> None:
        """Run on a command line, where a terminal may not know every letter of a place name."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        try:
            super().run_from_argv(argv)
        except KeyboardInterrupt:
            # Once more behind the work, while Django closes its connections.
            sys.exit(INTERRUPTED)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run, and turn the expected failures into one line and an exit code."""
        self.read_settings(options)
        try:
            # A look-up of a page would fail after a while.
            with waiting_for_verification():
                output = super().execute(*args, **options)
            self.stdout.flush()
        except BrokenPipeError:
            # The reader has seen enough (``| head``).
            _discard_output()
            return None
        except OSError as error:
            if error.errno == errno.ENOSPC:
                _discard_output()
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except GeocacheError as error:
            raise CommandError(_with_page(str(error), error.page)) from error
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except DATABASE_ERRORS as error:
            said = f"the database cannot be used: {first_line(error)}"
            raise CommandError(_with_page(said, DATABASE_PAGE)) from error
        finally:
            site_counters.send_within(site_counters.PATIENCE_SECONDS)
        return output

    def read_settings(self, options: dict[str, Any]) -> None:  # noqa: ARG002 - for those that look at them
        """Have what the admin has changed count."""
        (overrides.refresh if self.needs_database else follow.follow)()


def _with_page(said: str, page: str) -> str:
    return f"{said} (see {page})" if page else said


def _discard_output() -> None:
    # What is still buffered would fail once more when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
