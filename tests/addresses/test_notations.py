"""Addresses as people, mail, proxies and logs write them, and versions beside them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocache.addresses.extraction import find_addresses

V4 = "81.2.69.142"
V6 = "2606:4700:4700::1111"
AGENT = "Mozilla/5.0+(Windows+NT+10.0;+Win64;+x64)+AppleWebKit/537.36+(KHTML,+like+Gecko)"


def found(line: str) -> list[str]:
    return [str(address) for address in find_addresses(line)]


@pytest.mark.parametrize(
    "text",
    [
        f"{AGENT}+Chrome/109.0.0.0+Safari/537.36",
        f"{AGENT}+Chrome/109.0.0.0+Safari/537.36+Edg/109.0.1.1",
        f"{AGENT}+Chrome/109.0.0.0+Safari/537.36+OPR/95.0.0.0".replace("+", "%20"),
        f"{AGENT}+Chrome/109.0.0.0+Safari/537.36+OPR/95.0.0.0".replace("+", "%2520"),
        f"{AGENT}+Chrome/109.0.0.0+Safari/537.36+OPR/95.0.0.0".replace("+", "_"),
        "Gecko%29%20Chrome%2F109.0.0.0%20Safari%2F537.36",
        '{"agent":"Chrome\\/109.0.0.0 Safari"}',
        "agent=Foo/109.0.0.0",
        "(KHTML, like Gecko)&nbsp;Chrome&#x2F;109.0.0.0",
        '"Not_A Brand";v="8.0.0.0", "Chromium";v="109.0.0.0"',
        r'"\"Not_A Brand\";v=\"8.0.0.0\""',
        r"\x22Not_A Brand\x22;v=\x228.0.0.0\x22",
        "%22Not_A%20Brand%22%3Bv%3D%228.0.0.0%22",
        "style.css?v=1.2.3.4 script.js?ver=1.2.3.4&v=1.2.3.4",
        "version 1.2.3.4, ver. 1.2.3.4; ver 1.2.3.4 Version: 1.2.3.4",
        '"appVersion": "1.2.3.4", "version":"1.2.3.4"',
        "version number is 1.2.3.4",
        "release 1.2.3.7",
        "v 1.2.3.4, Chrome 109.0.0.0, Edge/109.0.0.0, Version/16.5.0.1",
        "Release: 1.2.3.7",
        "build 4.3.2.1",
        "build number 4.3.2.1",
        "Build=4.3.2.1",
        "rev 4.3.2.1",
        "firmware 4.3.2.1",
        "kernel 5.15.0.1",
        "oid 1.3.6.1",
        "OID .1.3.6.1",
        "with Microsoft SMTP Server id 15.1.225.42; Fri",
        "Microsoft SMTP Server (version=TLS1_2, cipher=X) id 15.20.52.10 via",
        "with mapi id 15.1.225.42",
        "https://example.org/releases/version/1.2.3.4/x",
        "curl-1.2.3.4 libc6 1.2.3.4-1ubuntu2 1.2.3.4~rc1 1.2.3.4-rc",
        "CEF:0|Vendor|Product|1.2.3.4|100|name|10|",
        "LEEF:1.0|Vendor|Product|1.2.3.4|100|",
        "<appVersion>1.2.3.4</appVersion> <version>1.2.3.4</version>",
        'Version("1.2.3.4") Version(1.2.3.4)',
        "rv:7.0.0.1 MSIE 7.0.0.1 version~1.2.3.4",
        "Versión 1.2.3.4, versione 1.2.3.4, versão 1.2.3.4, версия 1.2.3.4, 当前版本1.2.3.4",
        "§1.2.3.4, § 1.2.3.4, section 1.2.3.4, Kapitel 1.2.3.4",
    ],
)
def test_find__versions_are_not_addresses(text):
    assert found(f"x {text}") == []


@pytest.mark.parametrize(
    "text",
    [
        f"client-ip={V4};",
        f"ip={V4}",
        f"src={V4}",
        f"rid {V4}",
        f"id={V4}",
        f'"id":"{V4}"',
        f"router id {V4}",
        f"router-id {V4}",
        f"server={V4}",
        f"driver {V4}",
        f"nmap -v {V4}",
        f"kernel: {V4} sent an invalid ICMP type 11",
        f"permitted tcp inside/{V4}(57006)",
        f"dns.google/{V4}:443",
        f"TCP_MISS/200 HIER_DIRECT/{V4} text/html",
        f"TCP_MISS:FIRSTUP_PARENT/{V4}",
        f"- ORIGINAL_DST/{V4}",
        f"CEF:0|V|P|1|100|{V4}|10|",
        f"a|b|c|{V4}|",
        f"release ({V4})",
        f"<source>{V4}</source>",
        f"来自{V4}的请求",
        f"IPは{V4}です",
        f"주소는 {V4}입니다",
        f"адрес{V4}",
        f"~~{V4}~~",
        f"IP {V4}.https > 10: Flags",
        f"10 > {V4}.netbios-ns: UDP",
        f"GET /a-directory-with-a-name-of-more-than-forty-letters/{V4}/x",
        f"url=http%3A%2F%2F{V4}%2Fx",
        f"ip%3D{V4}",
        f"host%20{V4}",
        rf"\u003c{V4}\u003e",
        rf"{{\"log\":\"first\n{V4} said\"}}",
        rf"\x22{V4}\x22",
        f"\x1b[32m{V4}\x1b[0m",
        rf"\\{V4}\share",
        f"{V4}/32",
        f"{V4}:443",
        f"example.org:443 {V4}",
        f"IP {V4}.58340 > host.443: Flags",
        f"IP host.443 > {V4}.58340: Flags",
        f"&quot;{V4}&quot;",
    ],
)
def test_find__ipv4_in_its_surroundings(text):
    assert found(f"x {text}") == [V4]


@pytest.mark.parametrize(
    "text",
    [
        f"[IPv6:{V6}]",
        f"([ipv6:{V6}])",
        f"(IPv6:{V6})",
        f"IPv6:{V6}",
        f"mx.example [IPv6:{V6}])",
        "[IPv6:2606:4700:4700:0:0:0:0:1111]",
        f"ip6:{V6}",
        f"outside:{V6}",
        f"interface:{V6}",
        f"client:{V6}",
        f"{V6}:58340",
        f"{V6}:58340.",
        f"{V6}:58340: denied",
        "2606:4700:4700:0:0:0:0:1111:39694",
        f"[client {V6}:46824]",
        f"{V6}:65535",
        f"[{V6}]:80",
        f"{V6}.58340",
        f"{V6}#53",
        f"{V6}.https > 10: Flags",
        f"{V6}.domain: UDP",
        f"地址{V6}的用户",
        f"{V6}/128",
        f"client-ip={V6};",
        f"ip%3D{V6.replace(':', '%3A')}",
    ],
)
def test_find__ipv6_with_prefix_port_and_length(text):
    assert found(text) == found(f"x {text}") == [V6]


def test_find__port_that_can_be_part_of_the_address_is():
    assert found(f"x {V6}:8080") == [f"{V6}:8080"]
    assert found(f"x {V6}:65536") == []


@pytest.mark.parametrize(
    "text",
    ["[IPv6:::ffff:9.9.9.9]", "::ffff:9.9.9.9:443", "x ::ffff:9.9.9.9:443", "::ffff:9.9.9.9"],
)
def test_find__mapped_address_with_prefix_or_port(text):
    assert found(text) == ["9.9.9.9"]


@pytest.mark.parametrize(
    "text",
    [
        "9[.]9[.]9[.]9",
        "9(.)9(.)9(.)9",
        "9{.}9{.}9{.}9",
        "9[dot]9[dot]9[dot]9",
        "9(DOT)9(DOT)9(DOT)9",
        "9.9.9[.]9",
        "hxxp://9.9.9[.]9/x",
        "hxxp[://]9.9.9[.]9/24",
        "hxxps[:]//9.9.9[.]9:8080/x",
        r"9\.9\.9\.9",
        "9[.]9[.]9[.]9:443",
    ],
)
def test_find__defanged_ipv4(text):
    assert found(text) == found(f"x {text}, y") == ["9.9.9.9"]


@pytest.mark.parametrize("text", ["2620[:]fe[:][:]9", "2620[:]fe[::]9", "2620(:)fe::9"])
def test_find__defanged_ipv6(text):
    assert found(text) == found(f"x {text}, y") == ["2620:fe::9"]


@pytest.mark.parametrize(
    "text",
    [
        "9.9.9.0/24",
        "9.9.9.0/255.255.255.0",
        "9.9.9.0/0.0.0.255",
        "2620:fe::/48",
        "9[.]9[.]9[.]0/24",
    ],
)
def test_find__networks_of_several_addresses_are_none(text):
    assert found(text) == found(f"x {text}") == []


def test_find__rest_of_a_long_line_has_no_first_word():
    assert find_addresses("240.0.0.1 x", is_start=False) == []
    assert len(find_addresses("240.0.0.1 x")) == 1


# --- properties ----------------------------------------------------------------------------------

v4s = st.ip_addresses(v=4, network="81.0.0.0/8").map(str)
v6s = st.ip_addresses(v=6, network="2606:4700::/32").map(str)
ports = st.integers(min_value=10_000, max_value=65_535)


def in_v4_notation(address: str, port: int, kind: int) -> str:
    return [
        address,
        f"{address}:{port}",
        f"[{address}]:{port}",
        f"http://{address}:{port}/x",
        address.replace(".", "[.]"),
        address.replace(".", "(dot)"),
        f"{address}/32",
        f"src={address}",
        f'"{address}"',
    ][kind]


def in_v6_notation(address: str, port: int, kind: int) -> str:
    return [
        address,
        f"{address}:{port}",
        f"[{address}]:{port}",
        f"[IPv6:{address}]",
        f"IPv6:{address}",
        address.replace(":", "[:]"),
        f"{address}/128",
        f"client={address};",
        f"{address}#{port}",
    ][kind]


kinds = st.integers(min_value=0, max_value=8)
written = st.one_of(
    st.tuples(v4s, ports, kinds).map(lambda one: (one[0], in_v4_notation(*one))),
    st.tuples(v6s, ports, kinds).map(lambda one: (one[0], in_v6_notation(*one))),
)
letters = string.ascii_letters.replace("v", "").replace("V", "")
words = st.text(letters + "-_,;!?'", max_size=12).map(lambda word: f"w{word}w")
fillers = st.one_of(
    words,
    st.sampled_from(
        [
            "Chrome/109.0.0.0",
            "03:04:05",
            "v1.2.3.4",
            "version 1.2.3.4",
            '"Brand";v="8.0.0.0"',
            "10.0.0.0/8",
            "2001:db8::/32",
            "00:11:22:33:44:55",
            "[02/Jan/2026:03:04:05 +0000]",
            "1.2.3",
        ]
    ),
)


@given(st.lists(st.one_of(written, fillers.map(lambda text: ("", text))), max_size=12))
def test_find__exactly_the_addresses_in_any_notation(parts):
    line = "x " + " ".join(text for _, text in parts)
    assert found(line) == [address for address, _ in parts if address]


@given(st.text(string.printable + "%\\&[({", max_size=200))
def test_find__takes_any_text(text):
    find_addresses(text)
