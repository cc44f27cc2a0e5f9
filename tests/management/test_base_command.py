import errno
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError

from geocache import conf
from geocache.exceptions import CacheUnusable, NotVerifiedYet, ProviderError
from geocache.log_events import TROUBLESHOOTING as PAGE
from geocache.management.base_command import ShellCommand
from geocache.models import SettingOverride


class Failing(ShellCommand):
    help = "Fail."
    examples = "  manage.py failing\n      or not\n"

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def handle(self, **_: Any) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ProviderError("no file"), f"no file (see {PAGE}#provider-failed)"),
        (NotVerifiedYet("soon"), "soon"),
        (CacheUnusable("full"), f"full (see {PAGE}#cache-unusable)"),
        (ImproperlyConfigured("no such setting"), "no such setting"),
        (
            OperationalError("locked\nfor good"),
            f"the database cannot be used: locked (see {PAGE}#database-unavailable)",
        ),
        (
            InterfaceError("closed"),
            f"the database cannot be used: closed (see {PAGE}#database-unavailable)",
        ),
        (OSError(errno.EACCES, "Permission denied", "x"), "[Errno 13] Permission denied: 'x'"),
    ],
)
def test_shell_command__an_expected_failure_is_one_line(error: Exception, line: str) -> None:
    with pytest.raises(CommandError) as raised:
        call_command(Failing(error))
    assert str(raised.value) == line


def test_shell_command__a_defect_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        call_command(Failing(ZeroDivisionError()))


def test_shell_command__ctrl_c_is_130() -> None:
    with pytest.raises(SystemExit) as raised:
        call_command(Failing(KeyboardInterrupt()))
    assert raised.value.code == 130


def test_shell_command__ctrl_c_behind_the_work_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    # As Django closes its connections.
    monkeypatch.setattr(BaseCommand, "run_from_argv", interrupted)
    with pytest.raises(SystemExit) as exit_:
        ShellCommand().run_from_argv(["manage.py", "any"])
    assert exit_.value.code == 130


def test_shell_command__help_keeps_the_lines_of_the_examples() -> None:
    text = Failing(ValueError()).create_parser("manage.py", "failing").format_help()
    assert "examples:\n  manage.py failing\n      or not\n" in text


class Reading(ShellCommand):
    help = "Say what counts."

    def handle(self, **_: Any) -> None:
        self.stdout.write(str(conf.get("HISTORY_DAYS")))


class ReadingTheCache(Reading):
    needs_database = False


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", [Reading, ReadingTheCache])
def test_shell_command__reads_what_the_admin_has_changed(command: type[Reading]) -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    SettingOverride.objects.create(name="HISTORY_DAYS", value=5, changed_at=at)
    output = io.StringIO()
    call_command(command(), stdout=output)
    assert output.getvalue().strip() == "5"


def test_shell_command__runs_where_the_database_may_not_be_asked() -> None:
    output = io.StringIO()
    call_command(Reading(), stdout=output)
    assert output.getvalue().strip() == str(conf.DEFAULTS["HISTORY_DAYS"])
