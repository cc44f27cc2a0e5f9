import io
import sys
from contextlib import ExitStack

import pytest

from geocache import extras
from geocache.management import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO) -> str:
    """Return what a bar writes to standard error."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        use_bar()
    return stderr.getvalue()


def use_bar() -> None:
    """Do all that commands do with a bar."""
    with ExitStack() as stack:
        bar = stack.enter_context(progress.bar(total=3, label="Reading", unit="B"))
        bar.update(1)
        bar.total = 4
        bar.update(2 - bar.n)
        with progress.cleared():
            pass
        bar.reset(5)
        bar.close()


def test_bar__is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Reading" in shown(monkeypatch, Terminal())


def test_bar__without_its_library_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda _: False)
    assert shown(monkeypatch, Terminal()) == ""


def test_bar__elsewhere_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, io.StringIO()) == ""
