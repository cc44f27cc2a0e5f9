from ipaddress import ip_network

import pytest

from geocache.addresses.embedded import embedded_ipv4


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("64:ff9b::9.9.9.9", ["9.9.9.9/32"]),
        ("64:ff9b::a00:0/104", ["10.0.0.0/8"]),
        ("64:ff9b::/96", ["0.0.0.0/0"]),
        ("2002:909:909::/48", ["9.9.9.9/32"]),
        ("2002:a00::/24", ["10.0.0.0/8"]),
        ("2002:909:909:1::1", ["9.9.9.9/32"]),
        ("2002::/16", ["0.0.0.0/0"]),
        # RFC 4380, section 4: the client 192.0.2.45 of the server 65.54.227.120.
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", ["65.54.227.120/32", "192.0.2.45/32"]),
        ("2001:0:4136:e378::/64", ["65.54.227.120/32", "0.0.0.0/0"]),
        ("2001::/32", ["0.0.0.0/0", "0.0.0.0/0"]),
    ],
)
def test_embedded_ipv4__what_an_ipv6_network_holds(text: str, inside: list[str]) -> None:
    assert [str(one) for one in embedded_ipv4(ip_network(text, strict=False))] == inside


@pytest.mark.parametrize("text", ["9.9.9.9", "2a02:6b8::1", "2000::/3", "64:ff9b:1::1", "::/0"])
def test_embedded_ipv4__nothing_elsewhere(text: str) -> None:
    assert embedded_ipv4(ip_network(text, strict=False)) == []
