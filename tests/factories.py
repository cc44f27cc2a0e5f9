"""Things that tests need, made by plain functions."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Permission, User
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from geocache.country_groups import completed
from geocache.location import Location
from geocache.models import ApiToken, GeoCache
from geocache.providers import factory
from geocache.providers.dummy import DummyProvider

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
LONDON = "81.2.69.142"
MOSCOW_V6 = "2a02:6b8::1"

CITY_RECORD: dict[str, Any] = {
    "city": {"names": {"en": "Testville", "de": "Teststadt"}},
    "country": {"iso_code": "GB"},
    "location": {
        "accuracy_radius": 10,
        "latitude": 51.5,
        "longitude": -0.1,
        "time_zone": "Europe/London",
    },
    "postal": {"code": "T1"},
    "subdivisions": [{"iso_code": "ENG", "names": {"en": "England"}}],
}
ASN_RECORD: dict[str, Any] = {
    "autonomous_system_number": 64500,
    "autonomous_system_organization": "Test Networks",
}


def a_location(address: str = LONDON, **fields: Any) -> Location:
    given = {
        "resolved_at": NOON,
        "network": "81.2.69.0/24",
        "country_code": "GB",
        "city": "London",
        "source": "Dummy 1",
    }
    return Location(address=address, **completed(given | fields))


def a_row(address: str = LONDON, **fields: Any) -> GeoCache:
    GeoCache.objects.upsert([a_location(address, **fields)])
    return GeoCache.objects.get(address=address)


def many_locations(stop: int, first: int = 0, **fields: Any) -> list[Location]:
    """Distinct public addresses from 20.0.0.0 on, those from ``first`` on."""
    return [
        a_location(f"20.{n >> 16}.{n >> 8 & 255}.{n & 255}", **fields) for n in range(first, stop)
    ]


def an_mmdb(
    path: Path,
    records: Mapping[str, Any],
    *,
    database_type: str = "GeoLite2-City",
    ip_version: int = 6,
    build_epoch: int = 1_700_000_000,
) -> Path:
    """Write a real database of ``records`` by network."""
    writer = MMDBWriter(
        ip_version=ip_version,
        ipv4_compatible=ip_version == 6,
        database_type=database_type,
        languages=["en"],
        description="test",
    )
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    set_build_epoch(path, build_epoch)
    return path


def set_build_epoch(path: Path, build_epoch: int) -> None:
    # The writer only knows "now"; the number stands behind its name as 8 bytes (type uint64).
    data = path.read_bytes()
    name = data.rindex(b"build_epoch") + len(b"build_epoch")
    size = data[name] & 0x1F
    number = name + 2
    path.write_bytes(data[:number] + build_epoch.to_bytes(size, "big") + data[number + size :])


def use_dummy_provider(settings: Any, **options: Any) -> DummyProvider:
    """Configure a provider that answers from a dict, and return this process's instance."""
    backend = "geocache.providers.dummy.DummyProvider"
    provider = {"BACKEND": backend, "OPTIONS": options}
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": provider}
    current = factory.current()
    assert isinstance(current, DummyProvider)
    return current


def an_admin() -> User:
    return User.objects.create_superuser("admin", password="admin")


def a_viewer() -> User:
    """Staff that may see everything of geocache and change nothing."""
    user = User.objects.create_user("viewer", password="viewer", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="geocache", codename__startswith="view_")
    )
    return user


def a_stranger() -> User:
    """Logged in, but not staff."""
    return User.objects.create_user("stranger", password="stranger")


def a_token(user: User, name: str = "a program") -> str:
    """A key to the API, as its holder was shown it."""
    made = ApiToken(user=user, name=name)
    token = made.set_token()
    made.save()
    return token
