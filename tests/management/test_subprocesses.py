import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geocache.management import subprocesses as module
from geocache.management.subprocesses import STOPPING, Children, stopping_signals
from tests.support.processes import wait_until

# Stands in for manage.py: what a child does is its first argument.
SCRIPT = """
import pathlib, signal, sys, time
what = sys.argv[1]
if what == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[0] + "." + what).touch()
time.sleep(0 if what == "short" else 60)
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: Any) -> Path:
    path = tmp_path / "manage.py"
    path.write_text(SCRIPT)
    monkeypatch.setattr(sys, "argv", [str(path)])
    return path


@pytest.fixture
def children() -> Iterator[Children]:
    started = Children()
    yield started
    for process in started.processes.values():
        process.kill()
        process.wait()


def started(children: Children, script: Path, what: str) -> Any:
    children.start(what, [what])
    wait_until(script.with_name(f"manage.py.{what}").exists)
    return children.processes[what]


def test_stopping_signals__gives_them_back() -> None:
    before = [signal.getsignal(number) for number in STOPPING]
    seen: list[int] = []
    with stopping_signals(lambda number, _: seen.append(number)):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert seen == [signal.SIGTERM, signal.SIGINT]
    assert [signal.getsignal(number) for number in STOPPING] == before


def test_children__nothing_was_started() -> None:
    children = Children()
    children.end()
    assert children.ended() == ""


def test_children__wait_ends_with_a_signal_or_its_time() -> None:
    children = Children()
    assert children.wait_until(lambda: True, 10)
    assert not children.wait_until(lambda: False, 0)
    children.ask_to_stop()
    assert not children.wait_until(lambda: True, 10)


@pytest.mark.slow
def test_children__are_terminated_and_waited_for(children: Children, script: Path) -> None:
    process = started(children, script, "long")
    # Not in our group: Ctrl-C in a terminal must not reach it.
    assert os.getpgid(process.pid) != os.getpgid(0)
    assert children.ended() == ""
    children.end()
    assert process.returncode == -signal.SIGTERM


@pytest.mark.slow
def test_children__one_that_ends_by_itself_is_named(children: Children, script: Path) -> None:
    started(children, script, "short").wait()
    assert children.ended() == "short has ended by itself, with exit code 0"
    assert not children.wait_until(lambda: True, 10)


@pytest.mark.slow
def test_children__a_stubborn_one_is_killed(
    children: Children, script: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.3)
    process = started(children, script, "stubborn")
    children.end()
    assert process.returncode == -signal.SIGKILL
