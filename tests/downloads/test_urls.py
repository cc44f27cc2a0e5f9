import re
import socket

import pytest

from geocache.downloads.urls import Allowed, is_inside, read_url, refuse_inside, refuse_redirect
from geocache.exceptions import UpdateError

FIRST = "https://lists.test/a"
HOSTS = ["store.example"]


def followed(location: str, *allowed: str) -> None:
    first = read_url(FIRST)
    refuse_redirect(read_url(location), first, HOSTS, "IMPORT_HOSTS", Allowed(allowed))


def resolve_to(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)


@pytest.mark.parametrize(
    "location",
    [
        r"https://10.1.2.3\@lists.test/x",
        r"https://10.1.2.3\@store.example/x",
        r"https:\\10.1.2.3\x",
        r"https://lists.test\.evil.example/x",
        "https://10.1.2.3#@lists.test/x",
        "https://10.1.2.3?@lists.test/x",
        "https://lists.test@10.1.2.3/x",
        "https://lists.test:443@10.1.2.3/x",
        "https://name:key@lists.test/x",
        "https:// lists.test/x",
        "https://lists.test /x",
        "https://lists.test\t.evil.example/x",
        "https://lists.test\r\nHost: evil.example/x",
        "https://lists.test\x00.evil.example/x",
        "https://lists.test\u2028/x",
        "https:///x",
        "https:/lists.test/x",
        "https:lists.test/x",
        "https://:443/x",
        "https://?x",
        "https://[::1/x",
        "https://[::1]x/x",
        "https://[fe80::1%25eth0]/x",
        "https://lists.test:22/x",
        "https://lists.test:8443/x",
        "https://lists.test:99999/x",
        "https://lists.test:4x3/x",
        "https://store.example:6379/x",
        "https://lists.test%00.evil.example/x",
        "https://evillists.test/x",
        "https://lists.test.evil.example/x",
        "https://evilstore.example/x",
        "https://lists.test\uff0eevil.example/x",
        "https://0x7f000001/x",
        "https://2130706433/x",
        "https://017700000001/x",
        "https://127.1/x",
        "https://10.0.0.1/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://localhost/x",
        "http://lists.test/x",
        "ftp://lists.test/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/plain,1.1.1.1",
        "//lists.test/x",
        "",
    ],
)
def test_redirect__odd_ones_are_refused(monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    with pytest.raises(UpdateError) as caught:
        followed(location)
    assert "\n" not in str(caught.value)
    assert "key" not in str(caught.value)


@pytest.mark.parametrize(
    "location",
    [
        "https://lists.test/b",
        "https://LISTS.test:443/b?key=a@b",
        "https://store.example/b",
        "https://a.store.example/b%5C@c",
    ],
)
def test_redirect__usual_ones_are_followed(monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    followed(location)


def test_redirect__port_of_the_first_url_may_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    first = read_url("https://lists.test:8443/a")
    refuse_redirect(read_url("https://lists.test:8443/b"), first, [], "IMPORT_HOSTS")
    assert read_url("https://lists.test/a").origin != first.origin


INSIDE = [
    "10.0.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "0.0.0.0",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "fe80::1%eth0",
    "fec0::1",
    "fd00::1",
    "ff02::1",
    "ff0e::1",
    # NAT64, 6to4 and Teredo forms of loopback and of private addresses.
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::1",
    "2002:a00:1::",
    "2001:0:7f00:1::",
    "2001:0:808:808::80ff:fffe",
    "what is no address",
]


@pytest.mark.parametrize("address", INSIDE)
def test_redirect__name_of_an_address_inside_this_network_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolve_to(monkeypatch, address)
    with pytest.raises(UpdateError, match="an address inside this network"):
        followed("https://store.example/x")


# What Clash, sing-box and others answer for any name, and NAT64 of the first.
FAKE = ["198.18.0.84", "198.19.255.1", "fc00::1", "64:ff9b::c612:54"]


@pytest.mark.parametrize("address", FAKE)
def test_redirect__refusal_names_the_setting(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolve_to(monkeypatch, address)
    with pytest.raises(UpdateError, match=r"\(.*\); if that is right, .* DOWNLOAD_PRIVATE_HOSTS$"):
        followed("https://store.example/x")


@pytest.mark.parametrize("address", FAKE)
@pytest.mark.parametrize("allowed", [("198.18.0.0/15", "fc00::/18"), ("STORE.example",)])
def test_redirect__what_the_setting_names_is_followed(
    monkeypatch: pytest.MonkeyPatch, address: str, allowed: tuple[str, ...]
) -> None:
    resolve_to(monkeypatch, address)
    followed("https://store.example/x", *allowed)
    followed("https://a.store.example/x", *allowed)


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1"])
@pytest.mark.parametrize("allowed", ["198.18.0.0/15", "fc00::/18", "other.example", "example", ""])
def test_redirect__what_the_setting_does_not_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str, allowed: str
) -> None:
    resolve_to(monkeypatch, address)
    if allowed == "example":
        followed("https://store.example/x", allowed)
        return
    with pytest.raises(UpdateError, match="an address inside this network"):
        followed("https://store.example/x", allowed)


def test_redirect__the_setting_trusts_no_further_host() -> None:
    with pytest.raises(UpdateError, match="add it to IMPORT_HOSTS"):
        followed("https://198.18.0.84/x", "198.18.0.0/15")


@pytest.mark.parametrize("address", [*FAKE, "10.0.0.1"])
def test_redirect__to_the_same_host_leads_where_the_first_url_led(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolve_to(monkeypatch, address)
    followed("https://lists.test/b")
    with pytest.raises(UpdateError, match="redirects to port 22"):
        followed("https://lists.test:22/b")


def test_refuse_inside__asks_for_the_connected_address() -> None:
    refuse_inside("store.example", "8.8.8.8", Allowed())
    refuse_inside("store.example", "198.18.0.84", Allowed(["198.18.0.0/15"]))
    with pytest.raises(UpdateError, match=r"^store\.example is an address inside this network"):
        refuse_inside("store.example", "10.0.0.1", Allowed(["198.18.0.0/15"]))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_is_inside__public_addresses_are_not(address: str) -> None:
    assert not is_inside(address)


@pytest.mark.parametrize(
    "url", ["https://@lists.test/x", "https://lists.test:0/x", "https://lists%2etest/x"]
)
def test_read_url__is_sent_as_it_was_read(url: str) -> None:
    assert read_url(url).url == "https://lists.test/x"


def test_read_url__says_what_will_be_connected_to() -> None:
    place = read_url("HTTPS://Lists.TEST/a b".replace(" ", "%20"))
    assert (place.url, place.host, place.port) == ("https://lists.test/a%20b", "lists.test", 443)
    assert read_url("http://127.0.0.1:8000/a").origin == ("http", "127.0.0.1", 8000)
    assert read_url("https://[2606:4700::1111]/").host == "2606:4700::1111"


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://127.0.0.1/a", "/etc/passwd", ""])
def test_read_url__is_https_only(url: str) -> None:
    with pytest.raises(UpdateError, match=re.escape("only https:// is safe")):
        read_url(url)
