"""Programs of a site as an operator starts them: gunicorn, the scheduler, commands."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.processes import ROOT, wait_until

# Found on the path of a program, whichever release it runs.
SERVED = Path(__file__).parent / "served"
# A program outlives a harness that was killed by no more than this; an alarm outlives ``exec``.
ALONE = (
    "import os, signal, sys; signal.alarm(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"
)
STOP_SECONDS = 60


@dataclass
class Program:
    """A process in a group of its own, with what it says in a file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        """End it as an operator does, and return its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=STOP_SECONDS)

    def kill(self) -> None:
        """Kill it and the processes that it has started, with -9."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def pause(self) -> None:
        os.killpg(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGCONT)

    def wait_for(self, text: str, *, seconds: float = 60) -> None:
        """Wait until it has said ``text``."""
        wait_until(lambda: text in self.said() or self._fail_if_ended(), seconds=seconds)

    def _fail_if_ended(self) -> bool:
        assert self.is_running, f"{self.name} has ended: {self.said()[-2000:]}"
        return False


@dataclass
class Programs:
    """The programs of one site, all with one environment but for the code that they run."""

    folder: Path
    variables: Mapping[str, str]
    # How long they may run at most.
    seconds: int
    started: list[Program] = field(default_factory=list)

    def web(self, code: Path, listener: socket.socket, *options: str) -> Program:
        """Start gunicorn on a socket that others may share, as one of systemd."""
        own = [f"--config={SERVED / 'served_gunicorn.py'}", f"--bind=fd://{listener.fileno()}"]
        arguments = [*own, *options, "served_wsgi:application"]
        return self._start("web", code, ["-m", "gunicorn", *arguments], [listener.fileno()])

    def scheduler(self, code: Path) -> Program:
        return self._start("scheduler", code, ["manage.py", "schedule_geo"])

    def run(self, code: Path, *arguments: str) -> str:
        """Run Python with ``arguments`` to its end, and return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=code,
            env=self.environment(code),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{arguments} has failed: {done.stdout}{done.stderr}"
        return done.stdout

    def manage(self, code: Path, *arguments: str) -> str:
        return self.run(code, "manage.py", *arguments)

    def end(self) -> None:
        """Kill what still runs."""
        for program in self.started:
            program.go_on()
            program.kill()

    def environment(self, code: Path) -> dict[str, str]:
        """Return the variables with which a program imports ``code``, wherever it is installed."""
        path = os.pathsep.join(map(str, (code, SERVED)))
        kept = {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}
        own = {"DJANGO_SETTINGS_MODULE": "served_settings", "PYTHONPATH": path}
        return {**kept, **self.variables, **own, "PYTHONUNBUFFERED": "1"}

    def _start(
        self, name: str, code: Path, arguments: Sequence[str], descriptors: Sequence[int] = ()
    ) -> Program:
        log = self.folder / f"log-{len(self.started)}-{name}"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", ALONE, str(self.seconds), sys.executable, *arguments],
                cwd=code,
                env=self.environment(code),
                stdout=file,
                stderr=file,
                pass_fds=descriptors,
                start_new_session=True,
            )
        program = Program(name, process, log)
        self.started.append(program)
        return program


@contextmanager
def programs(
    folder: Path, variables: Mapping[str, str], *, seconds: int = 600
) -> Iterator[Programs]:
    """Give what starts programs, and kill them at the end."""
    running = Programs(folder, variables, seconds)
    try:
        yield running
    finally:
        running.end()


@contextmanager
def a_listener() -> Iterator[socket.socket]:
    """Give a socket that listens on a free port of loopback, and is never without one who asks."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        yield listener


__all__ = ["ROOT", "Program", "Programs", "a_listener", "programs"]
