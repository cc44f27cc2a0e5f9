"""The bundled project in production: its variables, its servers and its proxies, on loopback."""

import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import require
from tests.support.installed import NOT_INHERITED, NOT_INHERITED_PREFIXES
from tests.support.processes import ROOT, wait_until

DEPLOY = ROOT / "project/deploy"
HOST = "geo.example.org"


def variables(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a production site with an embedded default in ``folder``."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in NOT_INHERITED and not name.startswith(NOT_INHERITED_PREFIXES)
    }
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        # The scripts would take the one of .venv in the checkout.
        "PYTHON": sys.executable,
        "DEBUG": "false",
        "SECRET_KEY": "for-this-test-alone-" * 3,
        "ALLOWED_HOSTS": HOST,
        "GEOCACHE_VAR_DIR": str(folder),
        "GEOCACHE_UPDATE_DAYS": "0",
        "PYTHONUNBUFFERED": "1",
        **more,
    }


def manage(environment: Mapping[str, str], *arguments: str, root: Path = ROOT) -> str:
    """Return what a command of ``manage.py`` prints."""
    done = subprocess.run(
        [environment.get("PYTHON", sys.executable), "manage.py", *arguments],
        cwd=root,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    log: Path,
    sockets: Sequence[socket.socket] = (),
    cwd: Path = ROOT,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the end of the block; ``sockets`` are given as systemd gives them."""
    given = [str(part) for part in command]
    if sockets:
        # LISTEN_PID is the program itself, so it is set after the fork.
        moved = " ".join(f"{number}<&{one.fileno()}" for number, one in enumerate(sockets, start=3))
        script = f'exec {moved}; export LISTEN_PID=$$ LISTEN_FDS={len(sockets)}; exec "$@"'
        given = ["bash", "-c", script, "bash", *given]
    with log.open("ab") as output:
        process = subprocess.Popen(
            given,
            cwd=cwd,
            env=dict(env) if env is not None else None,
            stdout=output,
            stderr=output,
            pass_fds=[one.fileno() for one in sockets],
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        finally:
            process.kill()
            process.wait()


@contextmanager
def unix_socket(path: Path) -> Iterator[socket.socket]:
    """Listen as geocache-web.socket does."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o666)
        listening.listen(128)
        yield listening


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes


class _UnixConnection(http.client.HTTPConnection):
    """HTTP through a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__(HOST, timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def ask(  # noqa: PLR0913 - a request has as many parts
    place: int | Path,
    path: str = "/",
    *,
    headers: Sequence[tuple[str, str]] = (),
    source: str = "127.0.0.1",
    is_https: bool = False,
    body: bytes | None = None,
    timeout: float = 20,
) -> Response:
    """Ask a port of loopback, or a Unix socket, from the loopback address ``source``."""
    connection: http.client.HTTPConnection
    if isinstance(place, Path):
        connection = _UnixConnection(place, timeout)
    elif is_https:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = _HttpsConnection(place, source, context, timeout)
    else:
        connection = http.client.HTTPConnection(
            "127.0.0.1", place, timeout=timeout, source_address=(source, 0)
        )
    try:
        connection.putrequest("GET" if body is None else "POST", path, skip_host=True)
        for name, value in [("Host", HOST), *headers]:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Type", "application/x-www-form-urlencoded")
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        try:
            if body is not None:
                connection.send(body)
        except OSError:
            # Refused before all of it was sent: the answer is there.
            pass
        found = connection.getresponse()
        return Response(found.status, dict(found.getheaders()), found.read())
    finally:
        connection.close()


class _HttpsConnection(http.client.HTTPSConnection):
    """HTTPS to a port of loopback, for the name of the site (SNI)."""

    def __init__(self, port: int, source: str, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__("127.0.0.1", port, timeout=timeout, context=context)
        self.source, self.tls = source, context

    def connect(self) -> None:
        plain = socket.create_connection(
            ("127.0.0.1", self.port or 443), self.timeout, (self.source, 0)
        )
        self.sock = self.tls.wrap_socket(plain, server_hostname=HOST)


def is_answering(place: int | Path) -> bool:
    """Tell whether something answers there."""
    try:
        return bool(ask(place, timeout=5).status)
    except (OSError, http.client.HTTPException):
        return False


def program(name: str) -> str:
    """Return the path of a program that CI has."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    require(path is not None, name)
    assert path is not None
    return path


def wait_for(place: int | Path, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers; fail with its log when it has ended."""
    wait_until(lambda: process.poll() is not None or is_answering(place), seconds=60)
    assert process.poll() is None, log.read_text()
