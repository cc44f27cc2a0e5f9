"""A Redis Cluster of six nodes: three have a third of the keys each, the others copies of these."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.support.processes import wait_until
from tests.support.redis_process import RedisServer, running

REPLICAS = 1


@contextmanager
def a_cluster(folder: Path, *, node_count: int = 6) -> Iterator[list[RedisServer]]:
    """Start the nodes, have them form a cluster, and wait until all keys are served."""
    with ExitStack() as stack:
        nodes = []
        for number in range(node_count):
            (folder / str(number)).mkdir()
            arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"]
            server = RedisServer(folder / str(number), arguments=arguments, highest_port=55_000)
            nodes.append(stack.enter_context(running(server)))
        hosts = [f"127.0.0.1:{one.port}" for one in nodes]
        if node_count == 1:
            with nodes[0].client() as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        else:
            create = ["redis-cli", "--cluster", "create", *hosts]
            command = [*create, "--cluster-replicas", str(REPLICAS), "--cluster-yes"]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
        wait_until(lambda: all(_state(one) == "ok" for one in nodes), seconds=60)
        yield nodes


def owner_of(nodes: list[RedisServer], key: str) -> RedisServer:
    """Return the primary node that has a key."""
    with nodes[0].client() as client:
        slot: Any = client.execute_command("CLUSTER", "KEYSLOT", key)
        ranges: Any = client.execute_command("CLUSTER", "SLOTS")
    ports = (one[2][1] for one in ranges if one[0] <= slot <= one[1])
    port = next(ports)
    return next(one for one in nodes if one.port == port)


def _state(node: RedisServer) -> str:
    with node.client() as client:
        state: Any = client.execute_command("CLUSTER", "INFO")
    text = state.decode() if isinstance(state, bytes) else str(state)
    return "ok" if "cluster_state:ok" in text or "'cluster_state': 'ok'" in text else "fail"
