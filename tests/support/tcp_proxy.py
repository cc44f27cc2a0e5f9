"""A TCP proxy that can be cut, to make a server unreachable for one test only."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

from django.db import connection

# SO_LINGER with 0 seconds: closing resets the connection, as a killed server does.
RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards connections from its own port until it is cut."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._is_cut = False
        self.port = 0
        self.mend()

    def mend(self) -> None:
        """Listen, on the same port as before."""
        self._is_cut = False
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._run(self._accept, self._listener)

    def cut(self) -> None:
        """Refuse new connections, reset the open ones, and wait until they are closed."""
        assert self._listener is not None
        # First: a connection that is accepted now is seen here, or sees this.
        self._is_cut = True
        with suppress(OSError):
            # Closing alone does not wake the accepting thread.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _run(self, function: Any, *arguments: socket.socket) -> None:
        thread = threading.Thread(target=function, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            self._run(self._forward, client)

    def _forward(self, client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        with closing(client), closing(socket.create_connection(self._server)) as server:
            self._open |= {client, server}
            if self._is_cut:
                return
            back = threading.Thread(target=_pump, args=(server, client))
            back.start()
            _pump(client, server)
            back.join()
            self._open -= {client, server}


@contextmanager
def a_black_hole() -> Iterator[int]:
    """Give a port that neither accepts nor refuses a connection, like a vanished host."""
    with ExitStack() as stack:
        # The kernel ignores connections that do not fit into the queue.
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def a_proxy_to_the_database() -> Iterator[Proxy]:
    """Route the connection of this test, and of processes it starts, through a proxy."""
    database = connection.settings_dict
    straight = {name: database[name] for name in ("HOST", "PORT")}
    proxy = Proxy(database["HOST"] or "127.0.0.1", int(database["PORT"] or 5432))
    connection.close()
    database |= {"HOST": "127.0.0.1", "PORT": str(proxy.port)}
    try:
        yield proxy
    finally:
        connection.close()
        database |= straight
        proxy.cut()
