"""The real nginx and Caddy in front of the real gunicorn and uvicorn, with these files."""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from project.body_limit import MAX_BODY_BYTES
from tests.support.deployed import (
    DEPLOY,
    HOST,
    Response,
    ask,
    manage,
    program,
    running,
    unix_socket,
    variables,
    wait_for,
)
from tests.support.redis_process import free_port

pytestmark = [pytest.mark.slow, pytest.mark.any_services]

NGINX = (DEPLOY / "nginx/geocache.conf").read_text()
CADDY = (DEPLOY / "caddy/Caddyfile").read_text()
SOCKET = "/run/geocache/web.sock"
VISITOR = "127.0.0.7"
# What a visitor may write: none of it may change whose request it is.
FORGED = [
    ("X-Forwarded-For", "81.2.69.142"),
    ("X-Forwarded-For", "8.8.8.8, 127.0.0.1"),
    ("X_Forwarded_For", "81.2.69.142"),
    ("X-Real-IP", "81.2.69.142"),
    ("Forwarded", "for=81.2.69.142;proto=http"),
    ("True-Client-IP", "81.2.69.142"),
    ("X-Forwarded-Proto", "http"),
    ("X_Forwarded_Proto", "http"),
    ("X-Forwarded-Ssl", "off"),
    ("X-Forwarded-Host", "evil.example"),
]


@dataclass(frozen=True)
class Site:
    folder: Path
    env: dict[str, str]

    @property
    def socket(self) -> Path:
        return self.folder / "web.sock"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    env = variables(
        folder / "var",
        GEOCACHE_PUBLIC_LOOKUP="true",
        GEOCACHE_TRUSTED_PROXIES="unix,127.0.0.1",
        # Who may read the page of metrics: this machine, so that only the proxy is tried.
        GEOCACHE_METRICS_ADDRESSES="127.0.0.1",
        TRUST_X_FORWARDED_PROTO="true",
        WEB_CONCURRENCY="1",
    )
    manage(env, "collectstatic", "--noinput", "--verbosity", "0")
    return Site(folder, env)


@contextmanager
def served(site: Site, server: str) -> Iterator[None]:
    """Start a server on a socket of its own, as systemd does with the files of project/deploy."""
    command = {
        "gunicorn": ["gunicorn", "--config", DEPLOY / "gunicorn.conf.py", "project.wsgi"],
        "uvicorn": [DEPLOY / "uvicorn.sh"],
    }[server]
    log = site.folder / f"{server}.log"
    with (
        unix_socket(site.socket) as listening,
        running(command, env=site.env, log=log, sockets=[listening]) as process,
    ):
        try:
            wait_for(site.socket, process, log)
            yield
        finally:
            site.socket.unlink()


@contextmanager
def nginx(folder: Path, text: str) -> Iterator[tuple[int, int]]:
    """Run nginx with the example; give its ports of HTTP and HTTPS."""
    plain, secure, log = free_port(), free_port(), folder / "nginx.log"
    path = nginx_file(folder, text, plain, secure)
    command = [program("nginx"), "-c", path, "-p", folder, "-e", log, "-g", "daemon off;"]
    with running(command, log=log) as process:
        wait_for(plain, process, log)
        yield plain, secure


def nginx_file(folder: Path, text: str, plain: int, secure: int) -> Path:
    certificate = trustme.CA().issue_cert(HOST)
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "nginx.pem")
    for old, new in [
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen [::]:80;", ""),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{secure} ssl http2;"),
        ("listen [::]:443 ssl http2;", ""),
        (SOCKET, str(folder / "web.sock")),
        ("/etc/ssl/geocache/fullchain.pem", str(folder / "nginx.pem")),
        ("/etc/ssl/geocache/privkey.pem", str(folder / "nginx.pem")),
    ]:
        assert old in text
        text = text.replace(old, new)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path = folder / "nginx.conf"
    path.write_text(
        f"worker_processes 1; pid {folder}/nginx.pid;\nuser root;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{text}}}\n"
    )
    return path


@contextmanager
def caddy(folder: Path, text: str) -> Iterator[tuple[int, int]]:
    plain, secure, log = free_port(), free_port(), folder / "caddy.log"
    path = caddy_file(folder, text, plain, secure)
    env = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with running([program("caddy"), "run", "--config", path], env=env, log=log) as process:
        wait_for(plain, process, log)
        yield plain, secure


def caddy_file(folder: Path, text: str, plain: int, secure: int) -> Path:
    assert SOCKET in text
    text = text.replace(f"unix/{SOCKET}", f"unix/{folder / 'web.sock'}")
    # A certificate of its own, as there is no authority to ask here.
    text = text.replace(f"{HOST} {{\n", f"{HOST} {{\n\ttls internal\n")
    path = folder / "Caddyfile"
    path.write_text(
        f"{{\n\thttp_port {plain}\n\thttps_port {secure}\n\tdefault_bind 127.0.0.1\n"
        f"\tadmin off\n\tskip_install_trust\n}}\n{text}"
    )
    return path


@pytest.fixture(scope="module")
def proxies(site: Site) -> Iterator[dict[str, tuple[int, int]]]:
    with ExitStack() as stack:
        yield {
            "nginx": stack.enter_context(nginx(site.folder, NGINX)),
            "caddy": stack.enter_context(caddy(site.folder, CADDY)),
        }


@pytest.fixture(scope="module", params=["gunicorn", "uvicorn"])
def server(request: pytest.FixtureRequest, site: Site) -> Iterator[str]:
    with served(site, request.param):
        yield request.param


def seen(response: Response) -> tuple[int, str]:
    """Return the address that the page of one's own address leads to."""
    found = re.fullmatch(r"/lookup/\?ip=([\d.]+)#answers", response.headers.get("Location", ""))
    return response.status, found[1] if found else str(response)


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_visitor__has_their_own_address_whatever_they_send(
    server: str, proxies: dict[str, tuple[int, int]], proxy: str
) -> None:
    _, secure = proxies[proxy]

    def mine(*headers: tuple[str, str]) -> tuple[int, str]:
        return seen(ask(secure, "/lookup/mine/", headers=headers, source=VISITOR, is_https=True))

    assert mine() == (302, VISITOR), server
    assert mine(*FORGED) == (302, VISITOR)
    assert mine(FORGED[0]) == mine(FORGED[2]) == (302, VISITOR)


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_pages__are_served(server: str, proxies: dict[str, tuple[int, int]], proxy: str) -> None:
    plain, secure = proxies[proxy]

    page = ask(secure, f"/lookup/?ip={VISITOR}", is_https=True)
    (style,) = re.findall(r'href="(/static/geocache/geocache\.\w+\.css)"', page.body.decode())

    assert (page.status, VISITOR in page.body.decode()) == (200, True), server
    assert page.headers["Strict-Transport-Security"]
    asset = ask(secure, style, is_https=True)
    assert (asset.status, "immutable" in asset.headers["Cache-Control"]) == (200, True)
    redirected = ask(plain, "/lookup/?ip=1.1.1.1")
    assert redirected.status == 308
    assert redirected.headers["Location"] == f"https://{HOST}/lookup/?ip=1.1.1.1"


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
@pytest.mark.parametrize("path", ["/health/ready", "/health/live", "/metrics", "/metrics/"])
def test_state__is_for_this_machine_alone(
    server: str, proxies: dict[str, tuple[int, int]], proxy: str, path: str
) -> None:
    _, secure = proxies[proxy]

    assert ask(secure, path, source=VISITOR, is_https=True).status == 403, server
    assert ask(secure, path, is_https=True).status != 403


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_body__has_the_limit_of_the_app(
    server: str, proxies: dict[str, tuple[int, int]], proxy: str
) -> None:
    _, secure = proxies[proxy]
    token = "t" * 32
    form = [
        ("Cookie", f"csrftoken={token}"),
        ("X-CSRFToken", token),
        ("Referer", f"https://{HOST}/lookup/"),
    ]

    def status(size: int, headers: Sequence[tuple[str, str]]) -> int:
        return ask(secure, "/lookup/", headers=headers, is_https=True, body=b"x" * size).status

    assert status(2 * 2**20, form) == 200, server
    # Refused by the app: a form may be smaller than its files and headers are with it.
    assert [status(MAX_BODY_BYTES - 1, form) for _ in range(5)] == [400] * 5
    assert status(MAX_BODY_BYTES + 1, form) == 413
    # The answer of the app is shown, although no view has read the body.
    assert status(2 * 2**20, []) == 403


def test_examples__limit_the_body_as_the_app_does() -> None:
    assert f"client_max_body_size {MAX_BODY_BYTES // 2**20}m;" in NGINX
    assert f"max_size {MAX_BODY_BYTES // 2**20}MiB" in CADDY


def test_nginx__takes_the_example(tmp_path: Path) -> None:
    path = nginx_file(tmp_path, NGINX, 8080, 8443)
    command = [program("nginx"), "-t", "-q", "-c", path, "-p", tmp_path, "-e", "stderr"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_caddy__takes_the_example(tmp_path: Path) -> None:
    path = DEPLOY / "caddy/Caddyfile"
    done = subprocess.run(
        [program("caddy"), "adapt", "--config", path, "--validate"],
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower(), done.stderr
    assert json.loads(done.stdout)["apps"]["http"]
