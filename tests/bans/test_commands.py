import sys

import pytest

from geocache.bans.commands import run
from geocache.exceptions import BanError

# Each starts a process.
pytestmark = pytest.mark.slow


def test_run__returns_what_is_said() -> None:
    assert run([sys.executable, "-c", "print('done')"], timeout_seconds=30) == "done\n"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import sys; sys.exit('no such\\njail')", "exit code 1: no such jail"),
        ("print('on stdout'); exit(3)", "exit code 3: on stdout"),
    ],
)
def test_run__failure_is_one_line(code: str, why: str) -> None:
    with pytest.raises(BanError, match=why):
        run([sys.executable, "-c", code], timeout_seconds=30)


def test_run__ends_what_takes_too_long() -> None:
    with pytest.raises(BanError, match=r"not ended within 0\.01 seconds"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], timeout_seconds=0.01)


def test_run__program_that_is_not_there() -> None:
    with pytest.raises(BanError, match="/nowhere/nft cannot be run: No such file"):
        run(["/nowhere/nft"], timeout_seconds=1)
