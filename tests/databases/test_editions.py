from datetime import UTC, datetime
from typing import Any

import pytest

from geocache.databases.editions import Edition, wanted_editions
from geocache.exceptions import UpdateError


def wanted(settings: Any, **given: Any) -> list[Edition]:
    settings.GEOCACHE = {**settings.GEOCACHE, **given}
    return wanted_editions(datetime(2026, 1, 31, tzinfo=UTC))


def test_wanted__dbip_where_nothing_is_set(settings: Any) -> None:
    city, asn = wanted(settings)
    assert (city.name, asn.name) == ("dbip-city-lite", "dbip-asn-lite")
    assert city.urls == (
        "https://download.db-ip.com/free/dbip-city-lite-2026-01.mmdb.gz",
        "https://download.db-ip.com/free/dbip-city-lite-2025-12.mmdb.gz",
    )


def test_wanted__maxmind_with_an_account(settings: Any) -> None:
    city, asn = wanted(settings, MAXMIND_ACCOUNT_ID=1234, MAXMIND_LICENSE_KEY="key")
    url = "https://download.maxmind.com/geoip/databases/GeoLite2-City/download?suffix=tar.gz"
    assert (city.urls, city.checksum_url) == ((url,), f"{url}.sha256")
    assert (city.auth, asn.name) == (("1234", "key"), "GeoLite2-ASN")
    assert "key" not in repr(city)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.example/x/country.mmdb", "country"),
        ("https://a.example/country_asn.mmdb.gz?token=secret", "country_asn"),
        ("https://a.example/GeoLite2-City_20260101.tar.gz", "GeoLite2-City_20260101"),
    ],
)
def test_wanted__own_urls_come_first(settings: Any, url: str, name: str) -> None:
    (own,) = wanted(settings, UPDATE_URLS=[url], MAXMIND_ACCOUNT_ID="1")
    assert (own.name, own.urls) == (name, (url,))
    assert "?" not in own.checksum_url.partition(".sha256")[0]


@pytest.mark.parametrize(
    "urls",
    [
        ["https://a.example/"],
        ["https://a.example/.mmdb"],
        ["https://a.example/..%2f.mmdb"],
        ["https://a.example/a b.mmdb"],
        ["https://["],
        ["https://a.example/city.mmdb", "https://b.example/city.mmdb.gz"],
    ],
)
def test_wanted__refuses_what_would_be_no_file(settings: Any, urls: list[str]) -> None:
    with pytest.raises(UpdateError):
        wanted(settings, UPDATE_URLS=urls)


def test_wanted__edition_is_a_name_and_no_path(settings: Any) -> None:
    account = {"MAXMIND_ACCOUNT_ID": "1", "MAXMIND_LICENSE_KEY": "key"}
    with pytest.raises(UpdateError):
        wanted(settings, MAXMIND_EDITIONS=["../x"], **account)
