import string
from ipaddress import ip_address, ip_network

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from geocache.addresses import parse_address
from geocache.client_ip import (
    address_by_proxies,
    address_of,
    callable_failed,
    hops_of,
    is_trusted,
    network_of,
    networks,
    proxy_untrusted,
    visitor_address,
)

PROXIES = ["10.0.0.0/8", "2001:db8:a::/48"]
VISITOR = "81.2.69.142"
HERE = "tests.support.visitors"


@pytest.fixture(autouse=True)
def trusted(settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": PROXIES}


def ask(remote, forwarded=None, **headers):
    given_for = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return address_of(RequestFactory().get("/", REMOTE_ADDR=remote, **given_for, **headers))


@pytest.mark.parametrize(
    ("remote", "forwarded", "visitor"),
    [
        # Without a proxy.
        (VISITOR, None, VISITOR),
        (VISITOR, "1.1.1.1", VISITOR),
        (VISITOR, "1.1.1.1, 10.0.0.1", VISITOR),
        ("2A02:6B8::1", None, "2a02:6b8::1"),
        (f"::ffff:{VISITOR}", None, VISITOR),
        ("fe80::1%eth0", None, "fe80::1"),
        # Through one proxy, or several.
        ("10.0.0.1", VISITOR, VISITOR),
        ("::ffff:10.0.0.1", VISITOR, VISITOR),
        ("2001:db8:a::1", "2a02:6b8::1", "2a02:6b8::1"),
        ("10.0.0.1", f"{VISITOR}, 10.0.0.2", VISITOR),
        ("10.0.0.1", f"{VISITOR},10.0.0.2 , 2001:db8:a::2", VISITOR),
        # What the visitor wrote stands to the left of its own address.
        ("10.0.0.1", f"1.1.1.1, {VISITOR}", VISITOR),
        ("10.0.0.1", f"10.0.0.9, {VISITOR}", VISITOR),
        ("10.0.0.1", f"1.1.1.1, {VISITOR}, 10.0.0.2", VISITOR),
        ("10.0.0.1", f"nonsense, {VISITOR}", VISITOR),
        ("10.0.0.1", f",,, {VISITOR}", VISITOR),
        # A proxy that is not trusted is the visitor.
        ("10.0.0.1", "1.1.1.1, 9.9.9.9, 10.0.0.2", "9.9.9.9"),
        # With ports.
        ("10.0.0.1", f"{VISITOR}:50123", VISITOR),
        ("10.0.0.1", "[2a02:6b8::1]:443", "2a02:6b8::1"),
        ("10.0.0.1", "[2a02:6b8::1]", "2a02:6b8::1"),
        # A visitor from inside the trusted network.
        ("10.0.0.1", "10.5.5.5", "10.5.5.5"),
        ("10.0.0.1", None, "10.0.0.1"),
        # Nonsense: the last that is known.
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "unknown, 10.5.5.5", "10.5.5.5"),
        ("10.0.0.1", f"{VISITOR},", "10.0.0.1"),
        ("10.0.0.1", f"{VISITOR}; DROP", "10.0.0.1"),
        ("10.0.0.1", "1" * 9000, "10.0.0.1"),
        # IPv6 with a port and without brackets, where that can be told.
        ("10.0.0.1", "2a02:6b8::1:58340", "2a02:6b8::1"),
        ("10.0.0.1", "2a02:6b8:0:0:0:0:0:1:39694", "2a02:6b8::1"),
        ("10.0.0.1", "2a02:6b8::1:8080", "2a02:6b8::1:8080"),
        ("10.0.0.1", f"::ffff:{VISITOR}:443", VISITOR),
        ("10.0.0.1", f"::ffff:{VISITOR}", VISITOR),
        ("10.0.0.1", f"64:ff9b::{VISITOR}", VISITOR),
        # Quoted, and with what a proxy keeps to itself.
        ("10.0.0.1", f'"{VISITOR}"', VISITOR),
        ("10.0.0.1", '"[2a02:6b8::1]:443"', "2a02:6b8::1"),
        ("10.0.0.1", f"{VISITOR}:_port", VISITOR),
        ("10.0.0.1", f"{VISITOR}, _hidden", "10.0.0.1"),
        ("10.0.0.1", "[2a02:6b8::1]x", "10.0.0.1"),
        ("10.0.0.1", f"{VISITOR}:x", "10.0.0.1"),
        # A Unix socket that is not trusted.
        ("10.0.0.1", f"{VISITOR}, unix:", "10.0.0.1"),
        # No address at all.
        ("", VISITOR, None),
        ("nonsense", VISITOR, None),
    ],
)
def test_address_of__right_most_that_is_not_trusted(remote, forwarded, visitor):
    assert ask(remote, forwarded) == visitor


def test_address_of__nobody_is_believed_without_a_setting(settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": []}
    assert ask("127.0.0.1", VISITOR) == "127.0.0.1"


def test_address_of__unix_socket_has_its_word(settings):
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": ["unix"]}
    assert ask("", f"1.1.1.1, {VISITOR}") == VISITOR


@pytest.mark.parametrize("socket", ["unix:", "unix:/run/web.sock", "UNIX:"])
@pytest.mark.parametrize(
    ("remote", "before", "after"),
    [("", "", ""), ("10.0.0.1", "", ""), ("", "", ", 10.0.0.2"), ("unix:", "1.1.1.1, ", "")],
)
def test_address_of__unix_socket_between_proxies(settings, remote, before, after, socket):
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": [*PROXIES, "unix"]}
    assert ask(remote, f"{before}{VISITOR}, {socket}{after}") == VISITOR


@pytest.mark.parametrize(("remote", "visitor"), [("", None), ("10.0.0.1", "10.0.0.1")])
def test_address_of__unix_socket_before_which_nothing_is_known(settings, remote, visitor):
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": [*PROXIES, "unix"]}
    assert ask(remote, "unix:") == visitor


@pytest.mark.parametrize(
    "network", ["::ffff:10.0.0.0/104", "::ffff:10.0.0.1", "64:ff9b::a00:0/104"]
)
@pytest.mark.parametrize("remote", ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1"])
def test_address_of__embedded_ipv4_of_proxies(settings, network, remote):
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": [network]}
    assert ask(remote, VISITOR) == VISITOR


# --- other headers -------------------------------------------------------------------------------


def use_header(settings, name):
    settings.GEOCACHE = {**settings.GEOCACHE, "CLIENT_IP_HEADER": name}


@pytest.mark.parametrize(
    "name", ["X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "Fly-Client-IP", "x-real-ip"]
)
def test_address_of__header_of_the_setting(settings, name):
    use_header(settings, name)
    header = {f"HTTP_{name.upper().replace('-', '_')}": VISITOR}
    assert ask("10.0.0.1", "1.1.1.1", **header) == VISITOR
    assert ask("10.0.0.1", "1.1.1.1") == "10.0.0.1"
    assert ask("8.8.8.8", "1.1.1.1", **header) == "8.8.8.8"


@pytest.mark.parametrize(
    ("value", "visitor"),
    [
        (f"for={VISITOR}", VISITOR),
        (f"For={VISITOR};proto=https;by=10.0.0.1", VISITOR),
        (f'proto=http; FOR="{VISITOR}:4711"', VISITOR),
        ('for="[2a02:6b8::1]:4711"', "2a02:6b8::1"),
        ('for="[2a02:6b8::1]"', "2a02:6b8::1"),
        (f"for=1.1.1.1, for={VISITOR}", VISITOR),
        (f"for={VISITOR}, for=10.0.0.2;proto=https", VISITOR),
        (f'for={VISITOR};host="a, b;for=1.1.1.1"', VISITOR),
        # What the visitor wrote to confuse who reads it.
        (f'for="1.1.1.1, for={VISITOR}', VISITOR),
        (f'for=1.1.1.1;x=", for="{VISITOR}:80"', VISITOR),
        (f'for=1.1.1.1;x="\\, for="{VISITOR}:80"', VISITOR),
        # Not told: the last that is known.
        ("for=unknown", "10.0.0.1"),
        ('for="_hidden"', "10.0.0.1"),
        (f"for={VISITOR}, proto=https", "10.0.0.1"),
        (f"for={VISITOR};for=1.1.1.1", "10.0.0.1"),
        (f"xfor={VISITOR}", "10.0.0.1"),
        (f"for={VISITOR}, for=unix:", "10.0.0.1"),
        ("", "10.0.0.1"),
        (",,,", "10.0.0.1"),
        ('"', "10.0.0.1"),
    ],
)
def test_address_of__forwarded(settings, value, visitor):
    use_header(settings, "Forwarded")
    assert ask("10.0.0.1", HTTP_FORWARDED=value) == visitor
    assert ask("9.9.9.9", HTTP_FORWARDED=value) == "9.9.9.9"


@pytest.mark.parametrize("setting", ["", "X Real IP", "HTTP_X_REAL_IP", "mysite.visitors.address"])
def test_hops_of__nonsense_is_said(setting):
    with pytest.raises(ImproperlyConfigured, match="CLIENT_IP_HEADER") as error:
        hops_of(setting)
    assert "\n" not in str(error.value)
    assert ("VISITOR_ADDRESS" in str(error.value)) is ("." in setting)


def test_address_of__no_address_in_the_environment(rf):
    request = rf.get("/")
    del request.META["REMOTE_ADDR"]
    assert address_of(request) is None


def test_address_of__other_headers_do_not_count():
    others = {
        "HTTP_FORWARDED": "for=1.1.1.1",
        "HTTP_X_REAL_IP": "1.1.1.1",
        "HTTP_CF_CONNECTING_IP": "1.1.1.1",
        "HTTP_CLIENT_IP": "1.1.1.1",
    }
    assert ask("10.0.0.1", VISITOR, **others) == VISITOR
    assert ask("10.0.0.1", **others) == "10.0.0.1"


# --- a callable of the project -------------------------------------------------------------------


def use_callable(settings, name):
    path = f"{HERE}.{name}"
    settings.GEOCACHE = {**settings.GEOCACHE, "VISITOR_ADDRESS": path}


@pytest.mark.parametrize("remote", ["10.0.0.1", "8.8.8.8", "", "unix:"])
@pytest.mark.parametrize(
    ("said", "visitor"),
    [
        (VISITOR, VISITOR),
        (f" {VISITOR}:443", VISITOR),
        (f'"{VISITOR}"', VISITOR),
        ("[2A02:6B8::1]:443", "2a02:6b8::1"),
        ("2a02:6b8::1:58340", "2a02:6b8::1"),
        (f"::ffff:{VISITOR}", VISITOR),
        ("64:ff9b::909:909", "9.9.9.9"),
        ("10.0.0.9", "10.0.0.9"),
        ("", None),
        ("unix:", None),
    ],
)
def test_address_of__callable_decides_alone(settings, remote, said, visitor):
    use_callable(settings, "told")
    callable_failed.reset()
    with capture_logs() as logs:
        assert ask(remote, "1.1.1.1", HTTP_TOLD=said) == visitor
    assert logs == []


def test_address_of__callable_may_return_an_object_or_nothing(settings):
    use_callable(settings, "told_as_object")
    assert ask("10.0.0.1", HTTP_TOLD=f"::ffff:{VISITOR}") == VISITOR
    use_callable(settings, "not_told")
    assert ask("10.0.0.1", "1.1.1.1") is None


@pytest.mark.parametrize(
    ("name", "said", "why"),
    [
        ("fails", "", "RuntimeError: of the project"),
        ("told_as_object", "nonsense", "ValueError: "),
        ("told", "nonsense", "InvalidAddress: "),
        ("told", f"{VISITOR}, 10.0.0.1", "InvalidAddress: "),
        ("told", "1" * 9000, "InvalidAddress: "),
        ("told", " ", "InvalidAddress: "),
    ],
)
def test_address_of__callable_that_fails_is_logged_once(settings, name, said, why):
    use_callable(settings, name)
    callable_failed.reset()
    with capture_logs() as logs:
        found = [ask(remote, VISITOR, HTTP_TOLD=said) for remote in ("10.0.0.1", "8.8.8.8")]
    assert found == [None, None]
    (line,) = logs
    assert line["event"] == "geo_visitor_address_failed"
    assert line["error"].startswith(why)
    assert len(line["error"]) <= 200


def test_network_of__callable(settings, rf):
    use_callable(settings, "told")
    assert network_of(rf.get("/", HTTP_TOLD="2a02:6b8:1:2:3:4:5:6")) == "2a02:6b8:1:2::"


def test_address_by_proxies__is_told_without_the_callable(settings, rf):
    use_callable(settings, "fails")
    request = rf.get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=VISITOR)
    assert address_by_proxies(request) == VISITOR


@pytest.mark.parametrize(
    "path",
    [
        "none",
        "none.at.all",
        *(f"{HERE}.{one}" for one in ("TEXT", "is_async", "async_called", "no")),
    ],
)
def test_visitor_address__nonsense_is_said(path):
    with pytest.raises(ImproperlyConfigured, match="VISITOR_ADDRESS") as error:
        visitor_address(path)
    assert "\n" not in str(error.value)


# --- networks that are counted -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "network"),
    [
        (VISITOR, VISITOR),
        ("2a02:6b8:1:2:3:4:5:6", "2a02:6b8:1:2::"),
        ("2a02:6b8:1:2::", "2a02:6b8:1:2::"),
        ("64:ff9b::909:909", "9.9.9.9"),
        ("64:ff9b:1::808:808", "8.8.8.8"),
        ("", None),
    ],
)
def test_network_of__ipv6_counts_by_its_64(rf, address, network):
    assert network_of(rf.get("/", REMOTE_ADDR=address)) == network


# --- properties ------------------------------------------------------------------------------

addresses = st.ip_addresses().map(str)
hops = st.one_of(
    addresses, st.sampled_from(["10.0.0.1", "2001:db8:a::1", "unknown"]), st.text(string.printable)
)
chains = st.lists(hops, max_size=6).map(", ".join)
untrusted = st.ip_addresses().filter(
    lambda one: (
        one not in ip_network("10.0.0.0/8")
        and one not in ip_network("2001:db8:a::/48")
        and parse_address(one) == one
    )
)
names = st.sampled_from(
    ["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA", "HTTP_X_CLIENT_IP"]
)
# The settings of a test are the same for all its examples.
fixed = hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@fixed
@given(peer=untrusted, headers=st.dictionaries(names, chains))
def test_address_of__no_header_of_a_visitor_without_proxy_counts(peer, headers):
    assert ask(str(peer), **headers) == ask(str(peer)) == str(peer)


@fixed
@given(visitor=untrusted, written=chains, proxies=st.lists(st.just("10.0.0.2"), max_size=3))
def test_address_of__nothing_that_a_visitor_writes_changes_what_a_proxy_says(
    visitor, written, proxies
):
    said = ", ".join([str(visitor), *proxies])
    assert ask("10.0.0.1", f"{written}, {said}") == ask("10.0.0.1", said) == str(visitor)


@fixed
@given(remote=hops, forwarded=chains)
def test_address_of__is_an_address_or_none_whatever_is_sent(remote, forwarded):
    found = ask(remote, forwarded)
    assert found is None or str(ip_address(found)) == found


def trust(settings, *networks):
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": list(networks)}


def test_is_trusted__nobody_is_without_a_setting():
    assert not is_trusted(ip_address("127.0.0.1"))
    assert not is_trusted(None)


@pytest.mark.parametrize(
    ("network", "peer", "expected"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.0.0.0", False),
        ("10.9.9.9/8", "10.1.2.3", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.70", False),
        ("2001:db8::/32", "2001:db8:1::1", True),
        ("::/0", "10.1.2.3", False),
    ],
)
def test_is_trusted__networks_and_single_addresses(settings, network, peer, expected):
    trust(settings, network)
    assert is_trusted(ip_address(peer)) is expected


def test_is_trusted__unix_socket_only_by_its_word(settings):
    trust(settings, "0.0.0.0/0", "::/0")
    assert not is_trusted(None)
    trust(settings, "unix")
    assert is_trusted(None)
    assert not is_trusted(ip_address("127.0.0.1"))


@pytest.mark.parametrize("configured", [["10.0.0.0/33"], ["*"], [""], "10.0.0.0/8"])
def test_networks__nonsense_is_said_and_never_skipped(configured):
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES"):
        networks(tuple(configured))


# --- a proxy that is not trusted -----------------------------------------------------------------


@pytest.mark.parametrize("remote", ["127.0.0.1", "192.168.0.2", "::1", "", "100.64.0.1"])
def test_address_of__header_of_an_untrusted_proxy_is_logged_once(remote):
    proxy_untrusted.reset()
    with capture_logs() as logs:
        for _ in range(3):
            ask(remote, VISITOR)
    (line,) = logs
    assert line["event"] == "geo_proxy_untrusted"
    assert line["address"] == (remote or "unix")


@pytest.mark.parametrize(
    ("remote", "forwarded"),
    [("10.0.0.1", VISITOR), ("10.0.0.1", "nonsense"), (VISITOR, "8.8.8.8"), ("127.0.0.1", None)],
)
def test_address_of__nothing_is_logged_of_trusted_proxies_and_forgers(remote, forwarded):
    proxy_untrusted.reset()
    with capture_logs() as logs:
        ask(remote, forwarded)
    assert logs == []
