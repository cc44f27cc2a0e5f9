"""A Redis with a replica, and three Sentinels that promote it when the Redis goes away."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.sentinel import Sentinel

from tests.support.cache_set_ups import TEXT_SERIALIZER, Entry
from tests.support.processes import wait_until
from tests.support.redis_process import RedisServer, running

# Without an answer for so long, a server counts as down.
DOWN_MILLISECONDS = 1_000
SENTINEL_COUNT = 3


@dataclass
class Watched:
    """Both servers, and the Sentinels that watch them."""

    primary: RedisServer
    replica: RedisServer
    sentinels: list[RedisServer]

    @property
    def service(self) -> str:
        return service_of(self.primary)

    @property
    def hosts(self) -> list[tuple[str, int]]:
        return [("127.0.0.1", one.port) for one in self.sentinels]

    def manager(self) -> Sentinel:
        return Sentinel(self.hosts, socket_timeout=1)

    def fail_over(self, *, with_loss: bool) -> None:
        """Kill the primary and wait until the replica has taken its place."""
        self.primary.kill()
        if with_loss:
            self.replica.go_on()
        with self.replica.client() as client:
            wait_until(lambda: client.info("replication")["role"] == "master", seconds=60)

    def djangos(self) -> Entry:
        """Django's own Redis cache, through a pool that asks the Sentinels for the primary."""
        return {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://{self.service}/0",
            "OPTIONS": {
                "serializer": TEXT_SERIALIZER,
                "pool_class": "redis.sentinel.SentinelConnectionPool",
                "service_name": self.service,
                "sentinel_manager": self.manager(),
                "socket_timeout": 1,
            },
        }

    def django_redis(self) -> Entry:
        """django-redis, which reads from replicas."""
        return {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"redis://{self.service}/0",
            "OPTIONS": {
                "SERIALIZER": TEXT_SERIALIZER,
                "CLIENT_CLASS": "django_redis.client.SentinelClient",
                "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
                "SENTINELS": self.hosts,
                "SOCKET_TIMEOUT": 1,
            },
        }


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    """Start all of them, and wait until the Sentinels know each other and the replica."""
    at_once = ["--repl-diskless-sync-delay", "0"]
    with ExitStack() as stack:

        def start(name: str, **options: Any) -> RedisServer:
            (folder / name).mkdir()
            return stack.enter_context(running(RedisServer(folder / name, **options)))

        primary = start("primary", arguments=at_once)
        replica = start("replica", arguments=at_once)
        with replica.client() as client:
            client.replicaof("127.0.0.1", str(primary.port))
            wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        sentinels = [_start_sentinel(stack, folder, n, primary) for n in range(SENTINEL_COUNT)]
        wait_until(lambda: all(_knows_all(one, primary) for one in sentinels), seconds=60)
        yield Watched(primary, replica, sentinels)


def _start_sentinel(
    stack: ExitStack, folder: Path, number: int, primary: RedisServer
) -> RedisServer:
    service = service_of(primary)
    # It writes to this file what it learns.
    settings = folder / f"sentinel-{number}.conf"
    settings.write_text(
        f"sentinel monitor {service} 127.0.0.1 {primary.port} 2\n"
        f"sentinel down-after-milliseconds {service} {DOWN_MILLISECONDS}\n"
        f"sentinel failover-timeout {service} 5000\n"
    )
    (folder / f"sentinel-{number}").mkdir()
    # What the program redis-sentinel is, which Debian has in a package of its own.
    first = [str(settings), "--sentinel"]
    server = RedisServer(folder / f"sentinel-{number}", first_arguments=first)
    return stack.enter_context(running(server))


def service_of(primary: RedisServer) -> str:
    """Return a name of its own: django-redis keeps its pools by name for as long as it runs."""
    return f"geocache-{primary.port}"


def _knows_all(sentinel: RedisServer, primary: RedisServer) -> bool:
    with sentinel.client() as client:
        state = client.sentinel_master(service_of(primary))
    return state["num-slaves"] == 1 and state["num-other-sentinels"] == SENTINEL_COUNT - 1
