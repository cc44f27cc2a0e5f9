"""A Redis Cluster of six nodes: what works there, and what is refused by ``manage.py check``."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.core import checks
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.cluster import RedisCluster

from geocache.cache import backends
from geocache.exceptions import JournalUnavailable
from geocache.journal import segments
from geocache.journal.flush import flush_dirty
from geocache.lookup import lookup
from geocache.maintenance.forget import forget
from geocache.models import GeoCache
from tests.conftest import require
from tests.factories import use_dummy_provider
from tests.support.cache_set_ups import TEXT_SERIALIZER, Entry, djangos, with_django_redis
from tests.support.redis_cluster import a_cluster, owner_of
from tests.support.redis_process import RedisServer

pytestmark = [pytest.mark.cache_decides, pytest.mark.slow, pytest.mark.django_db]

# All keys that have it are on one node.
TAG = "{geocache}"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    for program in ("redis-server", "redis-cli"):
        require(shutil.which(program) is not None, program)
    with a_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


class ClusterClient(RedisCacheClient):
    """A client as a host may write it: it asks each node for its keys, and follows a failover."""

    clusters: ClassVar[dict[str, RedisCluster]] = {}

    def get_client(self, *_: object, **__: object) -> Any:
        url = self._servers[0]
        if url not in self.clusters:
            self.clusters[url] = RedisCluster.from_url(url)
        return self.clusters[url]


class ClusterCache(RedisCache):
    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = ClusterClient


def clustered(url: str) -> Entry:
    backend = f"{__name__}.ClusterCache"
    return {"BACKEND": backend, "LOCATION": url, "OPTIONS": {"serializer": TEXT_SERIALIZER}}


def use(settings: Any, entry: Entry) -> None:
    settings.CACHES = {**settings.CACHES, "geocache": entry}


def ids() -> set[str | None]:
    return {one.id for one in checks.run_checks(include_deployment_checks=True)}


@pytest.mark.parametrize("make", [djangos, with_django_redis])
@pytest.mark.parametrize("is_all", [False, True])
def test_check__refuses_a_client_that_knows_no_cluster(
    nodes: list[RedisServer], settings: Any, make: Any, is_all: bool
) -> None:
    use(settings, make([one.url for one in nodes] if is_all else nodes[0].url))
    [message] = [one for one in checks.run_checks() if one.id == "geocache.E092"]
    assert message.is_serious(checks.ERROR)
    assert "its server is a node of a Redis Cluster" in message.msg
    assert "MOVED" not in message.msg
    with pytest.raises(JournalUnavailable, match="Redis Cluster"), segments.open_journal():
        pass


def test_check__refuses_keys_on_several_nodes_of_a_client_that_knows_them(
    nodes: list[RedisServer], settings: Any
) -> None:
    use(settings, clustered(nodes[0].url))
    assert "geocache.E092" in ids()


def test_lookup__in_a_cluster_that_cannot_hold_the_journal_goes_to_the_table(
    nodes: list[RedisServer], settings: Any
) -> None:
    use_dummy_provider(settings)
    use(settings, djangos(nodes[0].url))
    lookup("20.1.0.1")
    assert GeoCache.objects.filter(address="20.1.0.1").exists()


def works(settings: Any) -> None:
    use_dummy_provider(settings)
    assert backends.journal_problem(backends.current()) == ""
    lookup("20.1.0.1")
    assert not GeoCache.objects.exists()
    assert flush_dirty().flushed == 1
    lookup("20.1.0.2")
    assert flush_dirty().flushed == 1
    assert forget(["20.1.0.1"]) == 1
    assert ids() & {"geocache.E001", "geocache.E092"} == set()
    # It does not follow when the cluster moves the keys.
    assert "geocache.W093" in ids()


def test_hash_tag__on_the_node_that_has_its_keys(nodes: list[RedisServer], settings: Any) -> None:
    node = owner_of(nodes, f"{TAG}:1:any")
    use(settings, {**djangos(node.url), "KEY_PREFIX": TAG})
    works(settings)


def test_hash_tag__on_another_node_is_refused(nodes: list[RedisServer], settings: Any) -> None:
    node = owner_of(nodes, f"{TAG}:1:any")
    other = next(one for one in nodes if one is not node)
    use(settings, {**djangos(other.url), "KEY_PREFIX": TAG})
    assert "geocache.E092" in ids()


def test_hash_tag__in_a_cluster_of_one_node(tmp_path: Path, settings: Any) -> None:
    require(shutil.which("redis-server") is not None, "redis-server")
    with a_cluster(tmp_path, node_count=1) as [node]:
        use(settings, djangos(node.url))
        assert "geocache.E092" in ids()
        use(settings, {**djangos(node.url), "KEY_PREFIX": TAG})
        works(settings)


def test_hash_tag__with_a_client_that_knows_all_nodes_is_refused(
    nodes: list[RedisServer], settings: Any
) -> None:
    use(settings, {**clustered(nodes[0].url), "KEY_PREFIX": TAG})
    assert "geocache.E092" in ids()
