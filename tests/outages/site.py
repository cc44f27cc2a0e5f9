"""A site with a Redis and a PostgreSQL of its own, two workers of gunicorn and the scheduler."""

import json
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.outages import watch
from tests.support import http_server, postgres_process, redis_process
from tests.support.postgres_process import PostgresServer
from tests.support.processes import ROOT, wait_until
from tests.support.programs import Program, Programs, a_listener, programs
from tests.support.redis_process import RedisServer

ADMIN, PASSWORD = "admin", "of-an-administrator"
SERVICE: Final = "geocache.providers.http.json_service.HttpJsonProvider"
WORKER_COUNT: Final = 2
WEB: Final = (f"--workers={WORKER_COUNT}", "--threads=4")
FLUSH_SECONDS: Final = 2


SCHEDULED: Final = "geo_job_scheduled"
# One process: each takes a second to start.
SET_UP: Final = f"""
import django; django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("migrate", verbosity=0)
User.objects.create_superuser("{ADMIN}", password="{PASSWORD}")
"""


@dataclass
class Site:
    """All that runs, and where it can be asked."""

    # The checkout whose programs run.
    code: Path
    programs: Programs
    listener: socket.socket
    redis: RedisServer
    postgres: PostgresServer
    database_file: Path
    service: http_server.StandIn
    web: Program | None = None
    scheduler: Program | None = None

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    def begin(self) -> None:
        """Make the tables and an administrator, and start web and scheduler."""
        self.programs.run(self.code, "-c", SET_UP)
        self.scheduler = self.programs.scheduler(self.code)
        self.start_web()
        self.scheduler.wait_for(SCHEDULED)

    def start_web(self) -> None:
        """Start the workers, in place of those that run, and wait until all have answered."""
        if self.web is not None:
            self.web.stop()
        self.web = self.programs.web(self.code, self.listener, *WEB)
        seen: set[str] = set()

        def have_all_answered() -> bool:
            seen.add(watch.ask(self.port, watch.LOOKUP + "81.2.69.142").process)
            return len(seen - {""}) == WORKER_COUNT

        wait_until(have_all_answered)

    def start_scheduler(self) -> None:
        self.scheduler = self.programs.scheduler(self.code)
        self.scheduler.wait_for(SCHEDULED)

    def use(self, provider: dict[str, Any] | None, **settings: Any) -> None:
        """Have programs that are started from now on use a provider, or the database file."""
        given = {
            "FLUSH_INTERVAL_SECONDS": FLUSH_SECONDS,
            "PUBLIC_LOOKUP": True,
            "PUBLIC_LOOKUP_RATE": None,
            "PUBLIC_TOTAL_RATE": None,
            "PUBLIC_QUERY_RATE": None,
            "UPDATE_DAYS": 0,
            "REFRESH_TIME_LIMIT_SECONDS": 0,
            "DATABASES": [str(self.database_file)],
            **({"PROVIDER": provider} if provider else {}),
            **settings,
        }
        self.programs.variables = {**self.programs.variables, "GEOCACHE_SERVED": json.dumps(given)}

    def a_service(self) -> dict[str, Any]:
        """Return a provider that asks the stand-in of a service."""
        options = {
            "name": "Stand-in",
            "url": f"http://{self.service.host}/{{address}}",
            "fields": {"country_code": "country"},
            "timeout_seconds": 2,
        }
        return {"BACKEND": SERVICE, "OPTIONS": options}


def missing_programs() -> list[str]:
    """Return what this machine lacks."""
    found = {
        "redis-server": shutil.which("redis-server"),
        "postgres": postgres_process.program("postgres"),
        "initdb": postgres_process.program("initdb"),
    }
    return [name for name, path in found.items() if path is None]


@contextmanager
def a_site(code: Path = ROOT, *, seconds: int = 3600) -> Iterator[Site]:
    """Give a site whose servers run, and end all of it."""
    from tests.factories import CITY_RECORD, an_mmdb  # noqa: PLC0415 - Django has to be set up

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="geocache_outages_")))
        # The server of the database has a user of its own.
        folder.chmod(0o755)
        for name in ("redis", "postgres", "var", "var/static"):
            (folder / name).mkdir()
        redis = stack.enter_context(redis_process.running(RedisServer(folder / "redis")))
        postgres = stack.enter_context(
            postgres_process.running(PostgresServer(folder / "postgres"))
        )
        listener = stack.enter_context(a_listener())
        service = stack.enter_context(http_server.serving())
        service.answer(http_server.Reply(body={"country": "GB"}))
        database_file = an_mmdb(
            folder / "site.mmdb", {"81.0.0.0/8": CITY_RECORD}, build_epoch=int(time.time()) - 86_400
        )
        variables = {
            "GEOCACHE_VAR_DIR": str(folder / "var"),
            "DATABASE_URL": postgres.url,
            "CACHE_URL": redis.url,
            "CACHE_KEY_PREFIX": "outages",
            "GEOCACHE_METRICS_TOKEN": watch.TOKEN,
            "DEBUG": "false",
            "SECRET_KEY": "of a run of the outages " * 3,
            "ALLOWED_HOSTS": "*",
            "HTTPS": "false",
            "LOG_LEVEL": "INFO",
        }
        running = stack.enter_context(programs(folder, variables, seconds=seconds))
        site = Site(code, running, listener, redis, postgres, database_file, service)
        site.use(None)
        yield site
