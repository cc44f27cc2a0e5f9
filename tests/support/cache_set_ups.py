"""Caches that people have, each with servers of its own, as entries of ``CACHES``."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import trustme

from tests.support.processes import wait_until
from tests.support.redis_process import RedisServer, running, valkey_server

TEXT_SERIALIZER = "geocache.cache.backends.TextSerializer"
PASSWORD = "secret-of-a-test"

Entry = dict[str, Any]
SetUp = Callable[[Path], AbstractContextManager[Entry]]


def djangos(location: str | list[str], **options: Any) -> Entry:
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": location,
        "OPTIONS": {"serializer": TEXT_SERIALIZER, **options},
    }


def with_django_redis(location: str | list[str], **options: Any) -> Entry:
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": location,
        "OPTIONS": {"SERIALIZER": TEXT_SERIALIZER, **options},
    }


def with_django_valkey(location: str, **options: Any) -> Entry:
    return {
        "BACKEND": "django_valkey.cache.ValkeyCache",
        "LOCATION": location.replace("redis://", "valkey://"),
        "OPTIONS": {"SERIALIZER": TEXT_SERIALIZER, **options},
    }


@contextmanager
def django_redis(folder: Path) -> Iterator[Entry]:
    """django-redis as it is by default, with pickles."""
    with running(RedisServer(folder)) as server:
        yield {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url}


@contextmanager
def django_redis_without_pickles(folder: Path) -> Iterator[Entry]:
    with running(RedisServer(folder)) as server:
        yield with_django_redis(server.url)


@contextmanager
def django_valkey(folder: Path) -> Iterator[Entry]:
    with running(RedisServer(folder, program=valkey_server() or "valkey-server")) as server:
        yield with_django_valkey(server.url)


@contextmanager
def valkey(folder: Path) -> Iterator[Entry]:
    """Django's Redis cache on a server of Valkey."""
    with running(RedisServer(folder, program=valkey_server() or "valkey-server")) as server:
        yield djangos(server.url)


@contextmanager
def redis_with_tls(folder: Path) -> Iterator[Entry]:
    """Redis with a password and a certificate of an authority of its own."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    server = RedisServer(
        folder,
        arguments=[
            *("--tls-cert-file", str(folder / "server.pem")),
            *("--tls-key-file", str(folder / "server.pem")),
            *("--tls-ca-cert-file", str(folder / "ca.pem")),
            *("--tls-auth-clients", "no"),
            *("--requirepass", PASSWORD),
        ],
        options={"ssl": True, "ssl_ca_certs": str(folder / "ca.pem"), "password": PASSWORD},
    )
    with running(server):
        yield djangos(
            f"rediss://127.0.0.1:{server.port}/0",
            ssl_ca_certs=str(folder / "ca.pem"),
            password=PASSWORD,
        )


@contextmanager
def redis_with_replica(folder: Path) -> Iterator[Entry]:
    """Two LOCATIONs: Django writes to the first, and reads from the second."""
    with two_servers(folder) as (primary, replica):
        with replica.client() as client:
            client.replicaof("127.0.0.1", str(primary.port))
            wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        yield djangos([primary.url, replica.url])


@contextmanager
def two_servers(folder: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    folders = folder / "first", folder / "second"
    for one in folders:
        one.mkdir()
    # Else a replica waits for five seconds, in case there are more.
    at_once = ["--repl-diskless-sync-delay", "0"]
    with (
        running(RedisServer(folders[0], arguments=at_once)) as first,
        running(RedisServer(folders[1])) as second,
    ):
        yield first, second


# By name, with the server that it needs.
SET_UPS: dict[str, tuple[str, SetUp]] = {
    "django-redis": ("redis-server", django_redis),
    "django-redis-text": ("redis-server", django_redis_without_pickles),
    "django-valkey": ("valkey-server", django_valkey),
    "valkey": ("valkey-server", valkey),
    "redis-tls": ("redis-server", redis_with_tls),
    "redis-replica": ("redis-server", redis_with_replica),
}


def has_server(name: str) -> bool:
    """Tell whether the server that a set-up needs is here."""
    program, _ = SET_UPS[name]
    return (valkey_server() if program == "valkey-server" else shutil.which(program)) is not None
