from ipaddress import ip_address

import pytest
from django.core.exceptions import ImproperlyConfigured

from geocache import client_ip


def trust(settings, *networks):
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": list(networks)}


def test_is_trusted__nobody_is_without_a_setting():
    assert not client_ip.is_trusted(ip_address("127.0.0.1"))
    assert not client_ip.is_trusted(None)


@pytest.mark.parametrize(
    ("network", "peer", "is_trusted"),
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
def test_is_trusted__networks_and_single_addresses(settings, network, peer, is_trusted):
    trust(settings, network)
    assert client_ip.is_trusted(ip_address(peer)) is is_trusted


def test_is_trusted__unix_socket_only_by_its_word(settings):
    trust(settings, "0.0.0.0/0", "::/0")
    assert not client_ip.is_trusted(None)
    trust(settings, "unix")
    assert client_ip.is_trusted(None)
    assert not client_ip.is_trusted(ip_address("127.0.0.1"))


@pytest.mark.parametrize("networks", [["10.0.0.0/33"], ["*"], [""], "10.0.0.0/8"])
def test_networks__nonsense_is_said_and_never_skipped(networks):
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES"):
        client_ip.networks(tuple(networks))
