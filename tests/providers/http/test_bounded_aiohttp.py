"""What ``tests/providers/http/test_maxmind.py`` does not see from outside."""

import asyncio
import socket

import pytest
import requests
import yarl

from geocache.providers.http.bounded_aiohttp import (
    Sockets,
    bounded_session,
    exact_url,
    proxy_of,
    trust,
)
from geocache.providers.http.bounded_requests import Rest
from tests.support.http_server import Reply, serving


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy.invalid:3128"}, "http://proxy.invalid:3128"),
        ({"HTTP_PROXY": "http://proxy.invalid:3128"}, None),
        ({"HTTPS_PROXY": "http://proxy.invalid:3128", "NO_PROXY": "service.invalid"}, None),
    ],
)
def test_proxy_of__is_that_of_the_environment(monkeypatch, variables, proxy):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_of("https://service.invalid") == proxy


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:80/81.2.69.142",
        "https://service.invalid/v1/2a02:6b8::1?token=a-b_c~1&lang=en",
        "https://SERVICE.invalid/a/../b//c/./d",
        "https://service.invalid",
        "https://service.invalid/%7ea/%2F?b=%zz",
        "https://name:word@service.invalid/a b",
        "https://service.invalid/ä?",
        "https://service.invalid/.hidden",
        "https://service.invalid/?a=\n",
        "https://service.invalid/a\n",
    ],
)
def test_exact_url__is_what_requests_asks_for(url):
    asked = yarl.URL(requests.Request("GET", url).prepare().url, encoded=True).with_user(None)
    assert str(exact_url(url)) == str(asked)


def test_trust__may_be_a_folder_of_certificates(tmp_path):
    assert trust(str(tmp_path)).get_ca_certs() == []


def test_sockets__are_closed_before_the_event_loop_ends():
    """Also one that is in the middle of an answer."""
    sockets = Sockets()

    async def ask(host):
        session = bounded_session(Rest(), 0.2, {}, sockets)
        with pytest.raises(TimeoutError):
            await session.get(f"http://{host}/")
        await session.close()
        await sockets.close()

    with serving() as service:
        service.answer(Reply(is_silent=True))
        asyncio.run(ask(service.host))
    assert [made.fileno() for made in sockets.made] == [-1]


def test_sockets__that_are_not_closed_are_not_waited_for(monkeypatch):
    monkeypatch.setattr("geocache.providers.http.bounded_aiohttp.CLOSE_SECONDS", 0.01)
    sockets = Sockets()
    made = sockets.make((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1)))
    asyncio.run(sockets.close())
    assert made.fileno() >= 0
    made.close()
