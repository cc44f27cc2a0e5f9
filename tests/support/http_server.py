"""A scripted web service on loopback, with or without TLS."""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CITY_TYPE = "application/vnd.maxmind.com-city+json; charset=UTF-8; version=2.1"
ERROR_TYPE = "application/vnd.maxmind.com-error+json; charset=UTF-8; version=2.0"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A response; ``body`` is sent as JSON unless it is bytes."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    # Send nothing until the test is over.
    is_silent: bool = False
    # Send a byte at a time, each well within any time-out, until the test is over.
    is_dripping: bool = False
    # Send this number of zeros as the body, or as many as the client reads.
    zeros: int = 0
    # Close the connection in the middle of the body.
    is_cut: bool = False

    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class StandIn:
    """Gives the reply for a path, else those of ``script`` in turn, of which the last is repeated.

    It records the requests.
    """

    def __init__(self) -> None:
        self.script: list[Reply] = [Reply()]
        self.by_path: Mapping[str, Reply] = {}
        self.asked: list[Asked] = []
        self.is_over = threading.Event()
        self.host = ""

    def answer(self, *script: Reply) -> None:
        self.script = list(script)

    def next_reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        if reply := self.by_path.get(asked.path):
            return reply
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]


def _handler(service: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(size)) if size else None
            asked = Asked(self.command, self.path, dict(self.headers), body)
            with suppress(OSError):
                self._send(service.next_reply(asked))

        do_POST = do_CONNECT = do_GET  # noqa: N815 - the names that http.server looks for

        def _send(self, reply: Reply) -> None:
            if reply.is_silent:
                service.is_over.wait(10)
                self.close_connection = True
                return
            data = reply.data()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.content_type:
                self.send_header("Content-Type", reply.content_type)
            size = reply.zeros or len(data) + (10**6 if reply.is_dripping or reply.is_cut else 0)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = reply.is_cut
            while reply.is_dripping and not service.is_over.wait(0.01):
                self.wfile.write(b" ")
            for _ in range(reply.zeros // 2**16):
                self.wfile.write(bytes(2**16))

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # With the default of 5, some of many concurrent connections wait for a second.
    request_queue_size = 512

    def handle_error(self, *_: Any) -> None:
        """Print nothing when a client disconnects."""


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[StandIn]:
    service = StandIn()
    server = _Server(("127.0.0.1", 0), _handler(service))
    service.host = f"127.0.0.1:{server.server_address[1]}"
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield service
    finally:
        service.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()
