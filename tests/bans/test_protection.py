from ipaddress import ip_address
from typing import Any

import pytest

from geocache.bans.own_addresses import OwnAddresses
from geocache.bans.protection import Reason, described, read_protection
from geocache.exceptions import BanError

SPECIAL, NEVER, PROXY = Reason.SPECIAL, Reason.NEVER_BAN, Reason.TRUSTED_PROXY
MACHINE, WIDE_4, WIDE_6 = Reason.THIS_MACHINE, Reason.TOO_WIDE_IPV4, Reason.TOO_WIDE_IPV6


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    own = OwnAddresses(frozenset({ip_address("6.6.6.6"), ip_address("2a02:6b8::6")}))
    monkeypatch.setattr("geocache.bans.protection.read_own_addresses", lambda: own)


def configure(settings: Any, **given: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, **given}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("9.9.9.9", None),
        ("9.9.9.0/24", None),
        ("2a02:6b8::1", None),
        ("10.0.0.5", SPECIAL),
        ("10.0.0.0/7", SPECIAL),
        ("127.0.0.1", SPECIAL),
        ("::1", SPECIAL),
        ("fe80::1", SPECIAL),
        ("0.0.0.0/0", SPECIAL),
        ("::/0", SPECIAL),
        # Mapped, compatible and translated forms.
        ("::ffff:127.0.0.1/128", SPECIAL),
        ("::ffff:10.0.0.0/104", SPECIAL),
        ("::ffff:0:0/96", SPECIAL),
        ("::ffff:0:0/95", SPECIAL),
        ("::10.0.0.1", SPECIAL),
        ("::ffff:0:10.0.0.1", SPECIAL),
        # What embeds a private address, or may.
        ("64:ff9b::10.0.0.1", SPECIAL),
        ("64:ff9b::/96", SPECIAL),
        ("2002:a00:1::/48", SPECIAL),
        ("2002:7f00:1::1", SPECIAL),
        ("2002::/16", SPECIAL),
        ("2002:909:909::/48", None),
        ("2001:0:909:909:0:0:f5ff:fffe", SPECIAL),
        ("2001:0:909:909::f6f6:f6f6", None),
        ("2001::/32", SPECIAL),
        # Nothing there has been given out.
        ("4000::1", SPECIAL),
        ("6.6.6.6", MACHINE),
        ("6.6.6.0/24", MACHINE),
        ("2a02:6b8::/64", MACHINE),
        ("64:ff9b::6.6.6.6", MACHINE),
        ("2002:606:606::/48", MACHINE),
    ],
)
def test_reason__private_special_and_own(entry: str, reason: Reason | None) -> None:
    assert read_protection().reason(entry) is reason


@pytest.mark.parametrize(
    "entry",
    [
        "garbage",
        "9.9.9.9 }",
        "9.9.9.9/",
        "9.9.9.0/ 24",
        "9.9.9.0/+24",
        "9.9.9.0/2_4",
        "9.9.9.0/024",
        "9.9.9.0/٢٤",
        "9.9.9.0/24\n",
        "9.9.9.9/24",
        "9.9.9.0/33",
        "9.9.9.0/255.255.255.0",
        "2620:fe::fe ",
        "2620:fe::fe%eth0",
        "2620:fe:0::fe",
        "2620:fe::/130",
        "::ffff:9.9.9.9",
        "64:ff9b::909:909",
    ],
)
def test_reason__what_no_import_writes_is_not_taken(entry: str) -> None:
    assert read_protection().reason(entry) is Reason.NOT_TAKEN


@pytest.mark.parametrize(
    "never",
    [
        "9.9.9.9",
        " 9.9.9.9 ",
        "9.9.9.9/32",
        "::ffff:9.9.9.9",
        "::ffff:9.9.9.0/120",
        "::FFFF:0909:0909",
        "9.9.9.0/24",
        "9.9.9.0/255.255.255.0",
        "9.9.9.8-9.9.9.20",
        "64:ff9b::9.9.9.9",
    ],
)
@pytest.mark.parametrize(
    "entry",
    [
        "9.9.9.9",
        "9.9.9.0/25",
        "9.0.0.0/8",
        "::ffff:9.9.9.9/128",
        "64:ff9b::909:909",
        "2002:909:909::1",
    ],
)
def test_reason__never_ban_in_each_form(settings: Any, never: str, entry: str) -> None:
    configure(settings, NEVER_BAN=[never])
    assert read_protection().reason(entry) is NEVER
    assert read_protection().reason("9.10.0.0/16") is None


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("149.112.112.0/24", PROXY),
        ("149.112.112.112", PROXY),
        ("149.0.0.0/8", PROXY),
        ("2a02:6b8:9::7", PROXY),
        ("64:ff9b::149.112.1.1", PROXY),
        ("149.113.0.1", None),
    ],
)
def test_reason__trusted_proxies(settings: Any, entry: str, reason: Reason | None) -> None:
    configure(settings, TRUSTED_PROXIES=["unix", "149.112.0.0/16", "2a02:6b8:9::/48"])
    assert read_protection().reason(entry) is reason


@pytest.mark.parametrize(
    ("entry", "given", "reason"),
    [
        ("9.0.0.0/8", {}, None),
        ("8.0.0.0/7", {}, WIDE_4),
        ("128.0.0.0/3", {}, WIDE_4),
        ("208.0.0.0/6", {}, WIDE_4),
        ("2600::/12", {}, WIDE_6),
        ("2600::/18", {}, WIDE_6),
        ("2600::/19", {}, None),
        ("9.0.0.0/8", {"BAN_WIDEST_IPV4": 16}, WIDE_4),
        ("9.9.0.0/16", {"BAN_WIDEST_IPV4": 16}, None),
        ("2600::/19", {"BAN_WIDEST_IPV6": 32}, WIDE_6),
        ("64.0.0.0/7", {"BAN_WIDEST_IPV4": 0}, None),
        # By its name, or that of a network around it.
        ("208.0.0.0/6", {"BAN_ALLOW_WIDE": ["208.0.0.0/6"]}, None),
        ("208.0.0.0/7", {"BAN_ALLOW_WIDE": ["208.0.0.0/6"]}, None),
        ("208.0.0.0/5", {"BAN_ALLOW_WIDE": ["208.0.0.0/6"]}, WIDE_4),
        ("64.0.0.0/6", {"BAN_ALLOW_WIDE": ["208.0.0.0/6"]}, WIDE_4),
        ("2600::/12", {"BAN_ALLOW_WIDE": ["2600::/12"]}, None),
        # What is private stays so.
        ("8.0.0.0/6", {"BAN_ALLOW_WIDE": ["8.0.0.0/6"]}, SPECIAL),
    ],
)
def test_reason__too_wide(settings: Any, entry: str, given: Any, reason: Reason | None) -> None:
    configure(settings, **given)
    assert read_protection().reason(entry) is reason


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"NEVER_BAN": ["my office"]}, "NEVER_BAN: 'my office' is not an IP address"),
        ({"NEVER_BAN": [9]}, "NEVER_BAN: '9' is not an IP address"),
        ({"BAN_ALLOW_WIDE": ["wide"]}, "BAN_ALLOW_WIDE: 'wide'"),
        ({"BAN_WIDEST_IPV4": 33}, "BAN_WIDEST_IPV4 is 33, not a whole number from 0 to 32"),
        ({"BAN_WIDEST_IPV4": 8.5}, "BAN_WIDEST_IPV4 is 8.5"),
        ({"BAN_WIDEST_IPV6": 129}, "BAN_WIDEST_IPV6 is 129, not a whole number from 0 to 128"),
        ({"TRUSTED_PROXIES": ["proxy"]}, "TRUSTED_PROXIES"),
    ],
)
def test_read_protection__settings_that_cannot_be_read(settings: Any, given: Any, why: str) -> None:
    configure(settings, **given)
    with pytest.raises(BanError, match=why):
        read_protection()


def test_protection__its_digest_is_another_one_with_other_settings(settings: Any) -> None:
    digests = {read_protection().digest, read_protection().digest}
    for given in (
        {"NEVER_BAN": ["9.9.9.9"]},
        {"TRUSTED_PROXIES": ["8.8.8.8"]},
        {"BAN_WIDEST_IPV4": 9},
        {"BAN_ALLOW_WIDE": ["208.0.0.0/6"]},
    ):
        configure(settings, **given)
        digests.add(read_protection().digest)
    assert len(digests) == 5


def test_described__counts_with_their_reasons() -> None:
    counts = {PROXY: 2_000, WIDE_4: 1, WIDE_6: 0}
    assert (
        described(counts) == "2,001 not banned: 2,000 overlapping TRUSTED_PROXIES, 1 wider than /8"
    )
