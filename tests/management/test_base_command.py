import errno
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError

from geocache.exceptions import ProviderError
from geocache.management.base_command import ShellCommand


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
        (ProviderError("no file"), "no file"),
        (ImproperlyConfigured("no such setting"), "no such setting"),
        (OperationalError("locked\nfor good"), "the database cannot be used: locked"),
        (InterfaceError("closed"), "the database cannot be used: closed"),
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
