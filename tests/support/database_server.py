"""A loopback server that publishes databases as the providers do, with faults on demand."""

import gzip
import hashlib
import io
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.factories import CITY_RECORD, an_mmdb

# They contain the addresses that an update looks up as a check.
NETWORKS = (
    "1.1.1.0/24",
    "8.8.8.0/24",
    "9.9.9.0/24",
    "81.2.69.0/24",
    "208.67.222.0/24",
    "2001:4860:4860::/48",
)
OLD, NEW, NEWER = 1_700_000_000, 1_750_000_000, 1_760_000_000


def a_database(folder: Path, build_epoch: int = NEW, **options: Any) -> bytes:
    """Return the bytes of a database that passes the checks of an update."""
    city = options.pop("city", "Testville")
    record = {**CITY_RECORD, "city": {"names": {"en": city}}}
    networks = options.pop("networks", NETWORKS)
    path = folder / f"made-{build_epoch}"
    an_mmdb(path, dict.fromkeys(networks, record), build_epoch=build_epoch, **options)
    return path.read_bytes()


def a_tar(database: bytes, name: str = "GeoLite2-City_20250615/GeoLite2-City.mmdb") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for one, data in (("GeoLite2-City_20250615/LICENSE.txt", b"text"), (name, database)):
            member = tarfile.TarInfo(one)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


@dataclass
class Answer:
    """The response for one path."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""
    auth: str = ""
    # Close the connection after this number of bytes.
    cut_at: int | None = None
    # Pause before each piece of the body.
    pause_seconds: float = 0
    piece_bytes: int = 2**16


class Service:
    """The responses by path, and the requests that came."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.url = ""

    def put(self, path: str, body: bytes, **options: Any) -> str:
        """Publish something, and return its URL."""
        self.answers[path] = Answer(body, **options)
        return self.url + path

    def put_with_checksum(self, path: str, body: bytes, **options: Any) -> str:
        digest = hashlib.sha256(body).hexdigest()
        self.put(f"{path}.sha256", f"{digest}  {Path(path).name}\n".encode())
        return self.put(path, body, **options)

    def put_compressed(self, path: str, body: bytes, **options: Any) -> str:
        return self.put(path, gzip.compress(body, mtime=0), **options)


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            service.asked.append(self.path)
            service.headers.append(dict(self.headers))
            answer = service.answers.get(self.path, Answer(status=404))
            status = self._status(answer)
            service.statuses.append(status)
            self.send_response(status)
            body = answer.body if status == 200 else b""
            self.send_header("Content-Length", str(len(body)))
            if answer.etag:
                self.send_header("ETag", answer.etag)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self._send(body, answer)

        def _status(self, answer: Answer) -> int:
            if answer.auth and self.headers.get("Authorization") != answer.auth:
                return 401
            if answer.etag and self.headers.get("If-None-Match") == answer.etag:
                return 304
            return answer.status

        def _send(self, body: bytes, answer: Answer) -> None:
            body = body[: answer.cut_at]
            # The client may disconnect.
            with suppress(OSError):
                for start in range(0, len(body), answer.piece_bytes):
                    time.sleep(answer.pause_seconds)
                    self.wfile.write(body[start : start + answer.piece_bytes])
                    self.wfile.flush()

    return Handler


@contextmanager
def serving() -> Iterator[Service]:
    service = Service()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
