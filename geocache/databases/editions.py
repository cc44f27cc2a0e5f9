"""Which databases are fetched, from where, and what they have to be."""

import glob
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import unquote, urlsplit

from geocache import conf
from geocache.exceptions import UpdateError

MAXMIND_URL: Final = "https://download.maxmind.com/geoip/databases"
DBIP_URL: Final = "https://download.db-ip.com/free"
# The types of DB-IP's free databases, by the names of their files.
DBIP_TYPES: Final = {"dbip-city-lite": "DBIP-City-Lite", "dbip-asn-lite": "DBIP-ASN-Lite"}
ENDINGS: Final = re.compile(r"(\.(mmdb|gz|tgz|tar))+$", re.IGNORECASE)
FILE_NAME: Final = re.compile(r"\w[\w.-]{0,99}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One database as somebody publishes it; ``name`` is that of the file that it becomes."""

    name: str
    # The next is tried where the one before it has nothing.
    urls: tuple[str, ...]
    # What its type begins with; empty: that of the file that is there.
    type_name: str = ""
    auth: tuple[str, str] | None = field(default=None, repr=False)
    # Where its SHA-256 is published; a service may publish none.
    checksum_url: str = ""
    is_checksum_required: bool = False
    # What the file may be called there; a star is any text.
    checksum_names: tuple[str, ...] = ()


def wanted_editions(at: datetime | None = None) -> list[Edition]:
    """Return what the settings ask for; raise ``UpdateError`` when that makes no sense."""
    account, key = conf.get("MAXMIND_ACCOUNT_ID"), conf.get("MAXMIND_LICENSE_KEY")
    if urls := conf.get("UPDATE_URLS"):
        found = [_own(url) for url in urls]
    elif account and key:
        found = [_maxmind(name, (str(account), key)) for name in conf.get("MAXMIND_EDITIONS")]
    elif account or key:
        raise UpdateError("set both MAXMIND_ACCOUNT_ID and MAXMIND_LICENSE_KEY, or neither")
    else:
        found = [_dbip(name, at or datetime.now(UTC)) for name in DBIP_TYPES]
    names = [edition.name for edition in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UpdateError(f"two downloads would both become {', '.join(sorted(twice))}.mmdb")
    return found


def _maxmind(name: str, auth: tuple[str, str]) -> Edition:
    url = f"{MAXMIND_URL}/{_file_name(name)}/download?suffix=tar.gz"
    return Edition(
        name=name,
        urls=(url,),
        type_name=name,
        auth=auth,
        checksum_url=f"{url}.sha256",
        is_checksum_required=True,
        # It is called by the day of its build.
        checksum_names=(*_names_at(url), f"{name}*.tar.gz"),
    )


def _dbip(name: str, at: datetime) -> Edition:
    # In the first days of a month there is only the one before.
    months = (at, at.replace(day=1) - timedelta(days=1))
    return Edition(
        name=name,
        urls=tuple(f"{DBIP_URL}/{name}-{month:%Y-%m}.mmdb.gz" for month in months),
        type_name=DBIP_TYPES[name],
    )


def _own(url: str) -> Edition:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UpdateError("one of UPDATE_URLS is no URL") from error
    name = _file_name(ENDINGS.sub("", parts.path.rpartition("/")[2]))
    return Edition(
        name=name,
        urls=(url,),
        checksum_url=parts._replace(path=f"{parts.path}.sha256").geturl(),
        checksum_names=_names_at(url),
    )


def _names_at(url: str) -> tuple[str, ...]:
    """Return what a file may be called that is saved from a URL, with its query or without."""
    whole = url.rpartition("/")[2].partition("#")[0]
    return tuple(glob.escape(unquote(name)) for name in (whole, whole.partition("?")[0]))


def _file_name(text: str) -> str:
    # It becomes the name of a file; and no more of a URL is shown, which may hold a key.
    if not FILE_NAME.fullmatch(text):
        raise UpdateError(f"{text!r} is no name of a database; a URL has to end in one")
    return text
