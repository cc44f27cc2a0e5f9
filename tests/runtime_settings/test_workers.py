"""Real web workers follow what another process changes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from geocache.runtime_settings import overrides
from tests.support import processes
from tests.support.redis_process import free_port

# As Django's own handler, which sends the signal of each request, but it says who has answered. The
# thread of the process that loads it runs before the workers are forked.
PRELOADED = """
import os
from django.core.wsgi import get_wsgi_application
handle = get_wsgi_application()
from geocache import conf
from geocache.lookup import lookup
lookup("81.2.69.142")

def application(environ, start_response):
    handle(environ, lambda *_: None).close()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {conf.get('HISTORY_DAYS')}".encode()]
"""


@pytest.mark.any_services
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_follow__each_of_two_preloaded_workers_within_ten_seconds(tmp_path: Path) -> None:
    (tmp_path / "preloaded.py").write_text(PRELOADED)
    bind = f"127.0.0.1:{free_port()}"
    options = ["--preload", "--workers=2", f"--pythonpath={tmp_path}", f"--bind={bind}"]
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "preloaded:application"],
        cwd=processes.ROOT,
        env=processes.environment(ALLOWED_HOSTS="*"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    said: dict[str, str] = {}

    def ask() -> bool:
        try:
            with urlopen(f"http://{bind}/login/", timeout=10) as response:
                worker, days = response.read().decode().split()
        except URLError:
            return False
        said[worker] = days
        return True

    def both_say(days: str) -> bool:
        return ask() and list(said.values()) == [days, days]

    try:
        processes.wait_until(lambda: both_say("30"))
        overrides.change("HISTORY_DAYS", 7, by="anna")
        changed_at = time.monotonic()
        processes.wait_until(lambda: both_say("7"), seconds=10)
        print(f"followed after {time.monotonic() - changed_at:.1f} s")
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    assert len(said) == 2
