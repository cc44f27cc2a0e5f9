"""The description of the API: what it says, and that the API does what it says."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from django.core.asgi import get_asgi_application

from tests.conftest import require
from tests.factories import LONDON, a_row, a_token, a_viewer, use_dummy_provider
from tests.support.processes import ROOT

SCHEMATHESIS = [
    "uv",
    "run",
    "--isolated",
    "--quiet",
    "--only-group",
    "openapi",
    "schemathesis",
    "run",
]
# Its own list of what invalid data may be answered, and 413.
CONFIGURATION = """
seed = 1
generation.max-examples = 30
checks.negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 413, 415, 429]
"""


@contextmanager
def served() -> Iterator[str]:
    """Serve the site in a thread, and not as Django does in tests: it makes up a Content-Type."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(get_asgi_application(), lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield "http://{}:{}".format(*listening.getsockname())
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.mark.slow
@pytest.mark.any_services
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_public", [False, True])
def test_api__does_what_its_description_says(settings, tmp_path, is_public):
    require(shutil.which("uv") is not None, "uv")
    use_dummy_provider(settings, answers={LONDON: {"country_code": "GB", "city": "London"}})
    rates = {"LOOKUP_RATE": None, "PUBLIC_LOOKUP_RATE": None, "PUBLIC_TOTAL_RATE": None}
    settings.GEOCACHE = {**settings.GEOCACHE, **rates, "PUBLIC_LOOKUP": is_public}
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    a_row()
    header = [] if is_public else ["--header", f"Authorization: Bearer {a_token(a_viewer())}"]
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    with served() as site:
        done = subprocess.run(
            [*SCHEMATHESIS, f"{site}/api/openapi.json", *header],
            cwd=tmp_path,
            env={**os.environ, "UV_PROJECT": str(ROOT), "UV_PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 4 selected / 4 total" in done.stdout
