"""Connections that end when the time is over, whatever the server sends, and lead out of here.

A time-out of a socket counts from its last byte: a server that sends its headers byte by byte never
reaches it. So the connection is shut from outside.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from geocache import extras
from geocache.downloads.limits import Deadline
from geocache.downloads.urls import NOTHING_ALLOWED, Allowed, refuse_inside
from geocache.exceptions import UpdateError

with extras.needed("web"):
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

POLL_SECONDS: Final = 0.2


class BoundedAdapter(HTTPAdapter):
    """Knows the sockets that it has opened; with ``refuses_inside`` none leads into this network.

    That is asked of the connected socket: a name may resolve to another address the second time.
    ``allowed`` may lead there all the same.
    """

    def __init__(self, allowed: Allowed = NOTHING_ALLOWED) -> None:
        self.allowed = allowed
        self.sockets: list[socket.socket] = []
        self.refuses_inside = False
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools()

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = self._pools()
        return manager

    @contextmanager
    def ending_at(self, deadline: Deadline) -> Iterator[None]:
        """Shut all connections as soon as ``deadline`` is over, in this block."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(POLL_SECONDS):
                if deadline.is_over():
                    for one in self.sockets:
                        # Of TLS only the socket below: its own shutdown is for one thread.
                        with suppress(OSError):
                            socket.socket.shutdown(one, socket.SHUT_RDWR)

        watcher = threading.Thread(target=watch, name="geocache-deadline", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def _opened(self, connection: HTTPConnection) -> None:
        opened = connection.sock
        if opened is None:
            return
        self.sockets.append(opened)
        # A proxy may well be inside.
        if self.refuses_inside and connection.proxy is None:
            try:
                refuse_inside(connection.host, opened.getpeername()[0], self.allowed)
            except UpdateError:
                connection.close()
                raise

    def _pools(self) -> dict[str, type[HTTPConnectionPool]]:
        opened = self._opened

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                opened(self)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                opened(self)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        return {"http": PlainPool, "https": SecurePool}
