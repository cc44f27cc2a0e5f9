"""A web server that restarts on the socket of systemd refuses no request."""

import signal
import threading
from collections import Counter
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.support.deployed import DEPLOY, ask, running, unix_socket, variables, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.any_services]

CLIENTS = 3


@pytest.mark.parametrize(
    "command",
    [
        ["gunicorn", "--config", DEPLOY / "gunicorn.conf.py", "project.wsgi"],
        [DEPLOY / "uvicorn.sh"],
    ],
    ids=["gunicorn", "uvicorn"],
)
def test_restart__on_a_socket_that_stays_refuses_nothing(
    tmp_path: Path, command: list[str | Path]
) -> None:
    place, log = tmp_path / "web.sock", tmp_path / "web.log"
    env = variables(
        tmp_path / "var",
        GEOCACHE_PUBLIC_LOOKUP="true",
        GEOCACHE_TRUSTED_PROXIES="unix",
        TRUST_X_FORWARDED_PROTO="true",
        WEB_CONCURRENCY="1",
    )
    found: Counter[str] = Counter()
    is_over = threading.Event()

    def visit() -> None:
        while not is_over.is_set():
            found[status_of(place)] += 1

    threads = [threading.Thread(target=visit) for _ in range(CLIENTS)]
    with unix_socket(place) as listening:
        with running(command, env=env, log=log, sockets=[listening]) as first:
            wait_for(place, first, log)
            for thread in threads:
                thread.start()
        # Between the two no server is there.
        with running(command, env=env, log=log, sockets=[listening]) as second:
            before = sum(found.values())
            wait_for(place, second, log)
            is_over.set()
            for thread in threads:
                thread.join()

    assert set(found) == {"302"}, log.read_text()
    assert sum(found.values()) >= before + CLIENTS
    # uvicorn ends by the signal that it has obeyed, which systemd takes for success.
    assert {first.returncode, second.returncode} <= {0, -signal.SIGTERM}, log.read_text()


def status_of(place: Path) -> str:
    """Return the status of an answer, or the error."""
    try:
        return str(ask(place, "/lookup/mine/", headers=[("X-Forwarded-Proto", "https")]).status)
    except (OSError, HTTPException) as error:
        return repr(error)
