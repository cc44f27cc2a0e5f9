"""Programs that apply bans: run for a limited time, and what they say when they fail."""

import subprocess
from collections.abc import Sequence

from geocache.exceptions import BanError


def run(command: Sequence[str], *, timeout_seconds: float) -> str:
    """Run a program without a shell and return what it says; raise ``BanError``."""
    name = command[0]
    try:
        done = subprocess.run(  # noqa: S603 - the command is a setting, its arguments are addresses
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise BanError(f"{name} has not ended within {timeout_seconds:g} seconds") from error
    except OSError as error:
        raise BanError(f"{name} cannot be run: {error.strerror}") from error
    if done.returncode:
        said = " ".join(f"{done.stdout} {done.stderr}".split())[:300]
        raise BanError(f"{name} has failed with exit code {done.returncode}: {said}")
    return done.stdout
