"""Updates as a whole, against a server on loopback."""

import base64
import errno
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from geocache.databases import editions
from geocache.databases import update as databases_update
from geocache.databases.update import FAILED, INSTALLED, NOT_DUE, UNCHANGED, Outcome
from geocache.databases.update_state import FILE_NAME, UpdateStates
from geocache.exceptions import UpdateBusy, UpdateError
from geocache.locks.file_lock import exclusive_lock
from geocache.providers.base import Source
from geocache.providers.mmdb import MmdbProvider
from geocache.providers.mmdb_verification import Verification
from geocache.signals import database_updated
from tests.factories import CITY_RECORD, an_mmdb
from tests.support import commands, processes
from tests.support.database_server import NETWORKS, NEW, NEWER, OLD, Service, a_database, a_tar
from tests.support.receivers import connected, receiving

pytestmark = [pytest.mark.any_services, pytest.mark.slow]

PATH = "/city.mmdb"


@pytest.fixture
def use(settings: Any) -> Callable[..., None]:
    def configure(**given: Any) -> None:
        settings.GEOCACHE = {**settings.GEOCACHE, **given}

    return configure


def update(**options: Any) -> Outcome:
    (outcome,) = databases_update.update_databases(is_forced=True, **options)
    return outcome


def built_at(folder: Path, name: str = "city.mmdb") -> int:
    at = MmdbProvider([folder / name]).sources()[0].built_at
    assert at is not None
    return int(at.timestamp())


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_kept(folder: Path, outcome: Outcome, why: str) -> None:
    """The file that was there is whole and in use; nothing unfinished is left."""
    assert outcome.status == FAILED
    assert why in outcome.detail
    assert "\n" not in outcome.detail
    assert built_at(folder) == NEW
    assert files(folder) == [".lock", "city.mmdb", FILE_NAME]


@pytest.fixture
def held(service: Service, tmp_path: Path, use: Callable[..., None]) -> str:
    """A database that was fetched before; the URL that it came from."""
    url = service.put(PATH, a_database(tmp_path))
    use(UPDATE_URLS=[url])
    assert update().status == INSTALLED
    service.asked.clear()
    return url


# --- what comes ----------------------------------------------------------------------------------


def test_update__installs_what_is_published(
    service: Service, folder: Path, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(UPDATE_URLS=[service.put(PATH, a_database(tmp_path))])
    outcome = update()
    (source,) = MmdbProvider([folder / "city.mmdb"]).sources()
    assert {"country_code", "city", "region_code"} <= set(source.fields)
    assert outcome == Outcome("city", INSTALLED, "GeoLite2-City 2025-06-15", source.fields)
    assert files(folder) == [".lock", "city.mmdb", FILE_NAME]
    assert (folder / "city.mmdb").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("database_type", "record"),
    [
        ("GeoIP2-Anonymous-IP", {"is_anonymous": True}),
        ("GeoIP2-Static-IP-Score", {"score": 1.5}),
        ("GeoIP2-Connection-Type", {"connection_type": "Cellular"}),
        ("IP2Proxy", {"proxy_type": "VPN", "country_code": "GB"}),
    ],
)
def test_update__a_product_need_not_know_the_best_known_addresses(
    service: Service,
    tmp_path: Path,
    use: Callable[..., None],
    database_type: str,
    record: dict[str, Any],
) -> None:
    records = {f"20.{n}.0.0/16": {**record, "x": f"{n}" * 20} for n in range(99)}
    made = an_mmdb(tmp_path / "a", records, database_type=database_type)
    use(UPDATE_URLS=[service.put(PATH, made.read_bytes())])
    assert update().status == INSTALLED


@pytest.mark.parametrize("ending", [".mmdb.gz", ".tar.gz"])
def test_update__unpacks(
    service: Service, folder: Path, tmp_path: Path, use: Callable[..., None], ending: str
) -> None:
    database = a_database(tmp_path)
    if ending == ".mmdb.gz":
        url = service.put_compressed(f"/city{ending}", database)
    else:
        url = service.put(f"/city{ending}", a_tar(database))
    use(UPDATE_URLS=[url])
    assert update().status == INSTALLED
    assert (folder / "city.mmdb").read_bytes() == database


@pytest.mark.parametrize("is_on", [True, False])
@pytest.mark.usefixtures("held")
def test_update__previous_one_that_its_licence_wants_gone(
    service: Service, folder: Path, tmp_path: Path, use: Callable[..., None], *, is_on: bool
) -> None:
    use(LICENCE_CLEANUP=is_on)
    service.put(PATH, a_database(tmp_path, NEWER))
    assert update().status == INSTALLED
    # That of 2025 was GeoLite.
    assert (folder / "city.mmdb.previous").exists() is not is_on


@pytest.mark.usefixtures("held")
def test_update__keeps_the_previous_one(service: Service, folder: Path, tmp_path: Path) -> None:
    service.put(PATH, a_database(tmp_path, NEWER))
    assert update().status == INSTALLED
    assert built_at(folder) == NEWER
    assert built_at(folder, "city.mmdb.previous") == NEW


def test_update__is_announced_once_it_is_installed(
    service: Service, folder: Path, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(UPDATE_URLS=[service.url + "/a.mmdb", service.put(PATH, a_database(tmp_path))])
    built = []

    def receiver(path: Path, **_: Any) -> None:
        built.append(built_at(path.parent, path.name))
        # The lock is released: this asks again, and finds nothing newer.
        databases_update.update_databases(is_forced=True)
        raise ValueError("of the project")

    with receiving(database_updated) as heard, connected(database_updated, receiver):
        databases_update.update_databases(is_forced=True)
    assert built == [NEW]
    assert heard == [
        {
            "sender": Source,
            "name": "city",
            "path": folder / "city.mmdb",
            "build": "GeoLite2-City 2025-06-15",
        }
    ]


@pytest.mark.usefixtures("folder")
def test_update__what_is_installed_is_announced_when_the_rest_is_interrupted(
    service: Service, tmp_path: Path, use: Callable[..., None]
) -> None:
    def interrupt(name: str, *_: Any) -> None:
        if name == "b":
            raise KeyboardInterrupt

    database = a_database(tmp_path)
    use(UPDATE_URLS=[service.put(PATH, database), service.put("/b.mmdb", database)])
    with receiving(database_updated) as heard, pytest.raises(KeyboardInterrupt):
        databases_update.update_databases(watch=interrupt)
    assert [one["name"] for one in heard] == ["city"]


def test_update__several_databases_one_of_which_fails(
    service: Service, tmp_path: Path, use: Callable[..., None]
) -> None:
    good = service.put("/b.mmdb", a_database(tmp_path))
    use(UPDATE_URLS=[service.url + "/a.mmdb", good])
    first, second = databases_update.update_databases()
    assert (first.status, second.status) == (FAILED, INSTALLED)


def test_update__flat_files_of_one_version_each(
    service: Service, tmp_path: Path, use: Callable[..., None]
) -> None:
    made = {4: ["8.8.8.0/24", "1.1.1.0/24"], 6: ["2001:4860:4860::/48", "2606:4700:4700::/48"]}
    for version, networks in made.items():
        path = tmp_path / f"ipv{version}"
        record = {"country_code": "GB", "state1": "x" * 600}
        an_mmdb(path, dict.fromkeys(networks, record), database_type="Own", ip_version=version)
        service.put(f"/own-ipv{version}.mmdb", path.read_bytes())
    use(UPDATE_URLS=[f"{service.url}/own-ipv{version}.mmdb" for version in made])
    assert [one.status for one in databases_update.update_databases()] == [INSTALLED] * 2
    provider = MmdbProvider()
    assert provider.resolve("8.8.8.8").country_code == "GB"
    assert provider.resolve("2606:4700:4700::1111").country_code == "GB"


def test_update__flat_file_of_no_known_layout(
    service: Service, folder: Path, tmp_path: Path, use: Callable[..., None]
) -> None:
    path = an_mmdb(tmp_path / "a", {"8.8.8.0/24": {"x": "y" * 600}}, database_type="Own")
    use(UPDATE_URLS=[service.put("/own.mmdb", path.read_bytes())])
    outcome = update()
    assert outcome.status == FAILED
    assert outcome.detail.startswith("what came is a database of type Own without a field")
    assert files(folder) == [".lock", FILE_NAME]


# --- what has not changed ------------------------------------------------------------------------


def test_update__what_has_not_changed_is_not_fetched_by_etag(
    service: Service, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(UPDATE_URLS=[service.put(PATH, a_database(tmp_path), etag='"1"')])
    assert update().status == INSTALLED
    assert update().status == UNCHANGED
    assert service.statuses[-1] == 304


def test_update__what_has_not_changed_is_not_fetched_by_checksum(
    service: Service, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(UPDATE_URLS=[service.put_with_checksum(PATH, a_database(tmp_path))])
    assert update().status == INSTALLED
    service.asked.clear()
    assert update().status == UNCHANGED
    assert service.asked == [f"{PATH}.sha256"]


@pytest.mark.usefixtures("held")
def test_update__same_build_is_not_installed_again(folder: Path) -> None:
    before = (folder / "city.mmdb").stat().st_ino
    assert update().status == UNCHANGED
    assert (folder / "city.mmdb").stat().st_ino == before


def test_update__file_that_is_gone_is_fetched_although_nothing_changed(
    service: Service, folder: Path, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(UPDATE_URLS=[service.put_with_checksum(PATH, a_database(tmp_path), etag='"1"')])
    update()
    (folder / "city.mmdb").unlink()
    assert update().status == INSTALLED


@pytest.mark.usefixtures("held")
def test_update__file_that_is_broken_is_replaced(folder: Path) -> None:
    (folder / "city.mmdb").write_bytes(b"broken")
    assert update().status == INSTALLED
    assert built_at(folder) == NEW


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.usefixtures("held")
def test_update__truncated(service: Service, folder: Path, tmp_path: Path) -> None:
    service.put(PATH, a_database(tmp_path, NEWER), cut_at=700)
    assert_kept(folder, update(), "")


@pytest.mark.usefixtures("held")
def test_update__truncated_inside_the_compression(
    service: Service, folder: Path, tmp_path: Path, use: Callable[..., None]
) -> None:
    url = service.put_compressed("/city.mmdb.gz", a_database(tmp_path, NEWER))
    answer = service.answers["/city.mmdb.gz"]
    answer.body = answer.body[:-9]
    use(UPDATE_URLS=[url])
    assert_kept(folder, update(), "damaged or cut off")


@pytest.mark.usefixtures("held")
def test_update__wrong_checksum(service: Service, folder: Path, tmp_path: Path) -> None:
    service.put_with_checksum(PATH, b"something else")
    service.put(PATH, a_database(tmp_path, NEWER))
    assert_kept(folder, update(), "not what its checksum says")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{sum}  asn.mmdb\n", "its checksum file is one of 'asn.mmdb'"),
        ("SHA256 (asn.mmdb) = {sum}\n", "its checksum file is one of 'asn.mmdb'"),
        ("<html>", "its checksum cannot be read"),
        ("", "its checksum cannot be read"),
    ],
)
@pytest.mark.usefixtures("held")
def test_update__checksum_that_is_there_and_not_of_this_file(
    service: Service, folder: Path, tmp_path: Path, text: str, why: str
) -> None:
    database = a_database(tmp_path, NEWER)
    service.put(PATH, database)
    text = text.format(sum=sha256(database).hexdigest())
    service.put(f"{PATH}.sha256", text.encode())
    assert_kept(folder, update(), why)


@pytest.mark.parametrize(
    "text", ["SHA256 ({name}) = {sum}\n", "{sum}\r\n", "{other}  asn.mmdb\r\n{sum} *{name}\r\n"]
)
@pytest.mark.usefixtures("held")
def test_update__checksum_in_the_forms_of_tools(
    service: Service, tmp_path: Path, text: str
) -> None:
    database = a_database(tmp_path, NEWER)
    service.put(PATH, database)
    given = {"name": Path(PATH).name, "sum": sha256(database).hexdigest(), "other": "a" * 64}
    service.put(f"{PATH}.sha256", text.format(**given).encode())
    assert update().status == INSTALLED
    service.put(PATH, b"something else")
    assert update().status == UNCHANGED


@pytest.mark.usefixtures("held")
def test_update__older_build(service: Service, folder: Path, tmp_path: Path) -> None:
    service.put(PATH, a_database(tmp_path, OLD))
    assert_kept(folder, update(), "of 2023-11-14, older than the present one")


@pytest.mark.usefixtures("held")
def test_update__build_of_the_future(service: Service, folder: Path, tmp_path: Path) -> None:
    service.put(PATH, a_database(tmp_path, 2_147_000_000))
    assert_kept(folder, update(), "of 2038-01-13, which is in the future")


@pytest.mark.usefixtures("held")
def test_update__file_of_the_future_does_not_keep_newer_ones_out(
    service: Service, folder: Path, tmp_path: Path
) -> None:
    (folder / "city.mmdb").write_bytes(a_database(tmp_path, 2_147_000_000))
    service.put(PATH, a_database(tmp_path, NEWER))
    assert update().status == INSTALLED
    assert built_at(folder) == NEWER


@pytest.mark.usefixtures("held")
def test_update__damaged_where_no_known_address_is(
    service: Service, folder: Path, tmp_path: Path
) -> None:
    record = {"20.1.0.0/24": {"city": {"names": {"en": "Only here"}}}}
    path = an_mmdb(
        tmp_path / "damaged",
        dict.fromkeys(NETWORKS, CITY_RECORD) | record,
        build_epoch=NEWER,
    )
    data = bytearray(path.read_bytes())
    text = data.index(b"Only here")
    # A type that does not exist.
    data[text - 1 : text + 1] = b"\x00\xff"
    service.put(PATH, bytes(data))
    assert_kept(folder, update(), "what came is damaged: ")


@pytest.mark.usefixtures("held")
def test_update__walk_ends_at_the_time_limit(
    service: Service,
    folder: Path,
    tmp_path: Path,
    use: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service.put(PATH, a_database(tmp_path, NEWER))
    walking = threading.Event()
    monkeypatch.setattr(Verification, "find_problem", lambda _: str(walking.wait(10)))
    use(UPDATE_TIME_LIMIT_SECONDS=0.5)
    began = time.monotonic()
    assert_kept(folder, update(), "not done within UPDATE_TIME_LIMIT_SECONDS")
    assert time.monotonic() - began < 5
    walking.set()


@pytest.mark.usefixtures("held")
def test_update__not_modified_that_was_not_asked_for(
    service: Service, folder: Path, use: Callable[..., None]
) -> None:
    use(UPDATE_URLS=[service.put("/city.mmdb", b"", status=304)])
    (folder / "city.mmdb").unlink()
    outcome = update()
    assert outcome.status == FAILED
    assert "nothing has changed (304), which it was not asked" in outcome.detail


@pytest.mark.usefixtures("held")
def test_update__other_type(service: Service, folder: Path, tmp_path: Path) -> None:
    service.put(PATH, a_database(tmp_path, NEWER, database_type="GeoLite2-Country"))
    assert_kept(folder, update(), "of type GeoLite2-Country; expected is GeoLite2-City")


@pytest.mark.usefixtures("held")
def test_update__useless_type(service: Service, folder: Path, tmp_path: Path) -> None:
    records = {"8.8.8.0/24": {"connection_speed": "fast", "x": "y" * 600}}
    speeds = an_mmdb(tmp_path / "speeds", records, database_type="GeoIP2-Connection-Speed")
    service.put(PATH, speeds.read_bytes())
    assert_kept(
        folder, update(), "what came is a database of type GeoIP2-Connection-Speed without a field"
    )


@pytest.mark.usefixtures("held")
def test_update__html_instead_of_a_database(service: Service, folder: Path) -> None:
    service.put(PATH, b"<!doctype html>" + b"<p>Please log in.</p>" * 100)
    assert_kept(folder, update(), "what came is not a readable MaxMind DB file")


@pytest.mark.usefixtures("held")
def test_update__nothing(service: Service, folder: Path) -> None:
    service.put(PATH, b"")
    assert_kept(folder, update(), "0 bytes are too few")


@pytest.mark.usefixtures("held")
def test_update__much_smaller(service: Service, folder: Path, tmp_path: Path) -> None:
    networks = [f"{n}.{n}.0.0/16" for n in range(11, 99)]
    (folder / "city.mmdb").write_bytes(a_database(tmp_path, NEW, networks=networks))
    service.put(PATH, a_database(tmp_path, NEWER))
    assert_kept(folder, update(), "less than half of the present one")


@pytest.mark.usefixtures("held")
def test_update__knows_nobody(service: Service, folder: Path, tmp_path: Path) -> None:
    networks = ["81.2.69.0/24", "1.1.1.0/24", "2001:db8:1::/48", "5.5.5.0/24", "6.6.6.0/24"]
    service.put(PATH, a_database(tmp_path, NEWER, networks=networks))
    assert_kept(folder, update(), "does not know the best-known addresses")


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (401, "refuses access (401); check account"),
        (403, "refuses access (403)"),
        (404, "has no such database (404)"),
        (429, "wants to be asked later (429)"),
        (500, "answers 500; try again later"),
    ],
)
@pytest.mark.usefixtures("held")
def test_update__refused_by_the_service(
    service: Service, folder: Path, status: int, why: str
) -> None:
    service.put(PATH, b"", status=status)
    assert_kept(folder, update(), why)


@pytest.mark.usefixtures("held")
def test_update__nobody_listens(folder: Path, use: Callable[..., None]) -> None:
    use(UPDATE_URLS=["http://127.0.0.1:1/city.mmdb?token=secret"])
    outcome = update()
    assert_kept(folder, outcome, "127.0.0.1 cannot be reached: ConnectionError")
    assert "secret" not in outcome.detail


@pytest.mark.usefixtures("held")
def test_update__slow_drip_ends_at_the_time_limit(
    service: Service, folder: Path, tmp_path: Path, use: Callable[..., None]
) -> None:
    service.put(PATH, a_database(tmp_path, NEWER), pause_seconds=0.05, piece_bytes=10)
    use(UPDATE_TIME_LIMIT_SECONDS=0.3)
    began = time.monotonic()
    assert_kept(folder, update(), "not done within UPDATE_TIME_LIMIT_SECONDS")
    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("held")
def test_update__stops_when_it_is_asked_to(folder: Path) -> None:
    assert_kept(folder, update(is_stopped=lambda: True), "stopped before it was done")


# --- the disk ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("held")
def test_update__disk_that_takes_no_more(service: Service, folder: Path, tmp_path: Path) -> None:
    service.put(PATH, a_database(tmp_path, NEWER) + b"\0" * 100_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        outcome = update()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_kept(folder, outcome, "File too large")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("body", ["a newer one", "no database"])
@pytest.mark.usefixtures("held")
def test_update__disk_without_room(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, body: str
) -> None:
    """Whatever cannot be written, also what is remembered of a failure, is one line."""
    database = a_database(tmp_path, NEWER)
    service.put(PATH, database if body == "a newer one" else b"no database")

    def full(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    for name in ("os.fsync", "geocache.databases.install.replace"):
        with monkeypatch.context() as broken:
            broken.setattr(name, full)
            outcome = update()
        assert outcome.status == FAILED
        assert f"{os.strerror(code)}; make room" in outcome.detail


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.usefixtures("held")
def test_update__folder_that_cannot_be_written_to(folder: Path) -> None:
    for path in (folder.parent, folder):
        path.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(OSError, match="Permission denied"):
            update()
    finally:
        os.seteuid(0)
    assert built_at(folder) == NEW


# --- attempts ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("held")
def test_update__crash_loop_does_not_use_up_what_a_service_grants(service: Service) -> None:
    service.put(PATH, b"", status=500)
    for _ in range(10):
        (outcome,) = databases_update.update_databases()
    assert "asked 4 times within a day; again after 20" in outcome.detail
    # One was that of the fixture; each asks for a checksum, too.
    assert service.asked.count(PATH) == 3


def test_update__attempt_is_remembered_before_the_service_is_asked(
    service: Service, folder: Path, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(UPDATE_URLS=[service.url + PATH])

    def killed(_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(databases_update.Update, "run", killed)
    for _ in range(4):
        with pytest.raises(SystemExit):
            databases_update.update_databases()
    assert len(UpdateStates(folder).of("city").attempted_at) == 4
    assert "asked 4 times" in databases_update.update_databases()[0].detail


@pytest.mark.usefixtures("held")
def test_update__service_that_wants_to_be_left_alone_is(service: Service) -> None:
    service.put(PATH, b"", status=429, headers={"Retry-After": "7200"})
    assert update().status == FAILED
    service.asked.clear()
    (outcome,) = databases_update.update_databases()
    assert "wants to be left alone until 20" in outcome.detail
    assert service.asked == []


@pytest.mark.usefixtures("held")
def test_update__what_is_not_due_is_left_out(service: Service) -> None:
    (outcome,) = databases_update.update_databases(is_only_due=True)
    assert outcome.status == NOT_DUE
    assert service.asked == []


@pytest.mark.usefixtures("held")
def test_update__two_at_once_fetch_once(service: Service, folder: Path) -> None:
    with exclusive_lock(folder / ".lock", busy=UpdateBusy("held")), pytest.raises(UpdateBusy):
        update()
    assert service.asked == []
    assert update().status == UNCHANGED


# --- the services --------------------------------------------------------------------------------


def test_update__maxmind(
    service: Service,
    folder: Path,
    tmp_path: Path,
    use: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(editions, "MAXMIND_URL", service.url)
    archive = a_tar(a_database(tmp_path))
    auth = "Basic " + base64.b64encode(b"1234:key").decode()
    path = "/GeoLite2-City/download?suffix=tar.gz"
    service.put("/store/city.tar.gz", archive, etag='"1"')
    service.put(path, b"", status=302, auth=auth, headers={"Location": "/store/city.tar.gz"})
    service.put_with_checksum(f"{path}", archive)
    service.put(path, b"", status=302, auth=auth, headers={"Location": "/store/city.tar.gz"})
    service.answers[f"{path}.sha256"].auth = auth
    use(MAXMIND_ACCOUNT_ID="1234", MAXMIND_LICENSE_KEY="key", MAXMIND_EDITIONS=["GeoLite2-City"])
    assert update().status == INSTALLED
    assert built_at(folder, "GeoLite2-City.mmdb") == NEW
    assert update().status == UNCHANGED
    assert service.asked.count("/store/city.tar.gz") == 1

    use(MAXMIND_LICENSE_KEY="wrong")
    assert "refuses access (401)" in update().detail


def test_update__maxmind_without_its_checksum_is_not_trusted(
    service: Service,
    folder: Path,
    tmp_path: Path,
    use: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(editions, "MAXMIND_URL", service.url)
    path = "/GeoLite2-City/download?suffix=tar.gz"
    service.put(path, a_tar(a_database(tmp_path)))
    use(MAXMIND_ACCOUNT_ID="1234", MAXMIND_LICENSE_KEY="key", MAXMIND_EDITIONS=["GeoLite2-City"])
    assert update().status == FAILED
    service.put(f"{path}.sha256", b"<html>")
    assert "its checksum cannot be read" in update().detail
    assert not (folder / "GeoLite2-City.mmdb").exists()


def test_update__dbip_of_the_month_before_while_there_is_no_newer(
    service: Service,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(editions, "DBIP_URL", service.url)
    city, asn = editions.wanted_editions()
    for edition in (city, asn):
        this_month, before = edition.urls
        assert this_month != before
        kind = edition.type_name + " (compat=GeoLite2)"
        service.put_compressed(
            before.removeprefix(service.url), a_database(tmp_path, database_type=kind), etag='"1"'
        )
    assert [one.status for one in databases_update.update_databases()] == [INSTALLED, INSTALLED]
    assert files(folder)[1:3] == ["dbip-asn-lite.mmdb", "dbip-city-lite.mmdb"]
    assert [one.status for one in databases_update.update_databases()] == [UNCHANGED, UNCHANGED]
    assert service.statuses[-2:] == [404, 304]
    sources = MmdbProvider(sorted(folder.glob("*.mmdb"))).sources()
    assert all("CC BY 4.0), https://db-ip.com" in source.attribution for source in sources)


def test_update__half_an_account_is_an_error(use: Callable[..., None]) -> None:
    use(MAXMIND_ACCOUNT_ID="1234")
    with pytest.raises(UpdateError, match="both MAXMIND_ACCOUNT_ID and"):
        databases_update.update_databases()


def test_is_used__only_where_the_provider_looks(folder: Path, use: Callable[..., None]) -> None:
    assert databases_update.is_used()
    use(DATABASES=["/srv/other.mmdb"])
    assert not databases_update.is_used()
    use(DATABASES=["/srv/other.mmdb", folder / "city.mmdb"])
    assert databases_update.is_used()


# --- real processes ------------------------------------------------------------------------------


def test_update__killed_in_the_middle_leaves_the_present_file(
    service: Service, folder: Path, tmp_path: Path, held: str
) -> None:
    service.put(PATH, a_database(tmp_path, NEWER), pause_seconds=0.5, piece_bytes=100)
    process = commands.start(folder.parent, "update_geo", "--force", GEOCACHE_UPDATE_URLS=held)
    processes.wait_until(lambda: PATH in service.asked)
    processes.wait_until(lambda: list(folder.glob(".*.part")))
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert list(folder.glob(".*.part"))
    assert built_at(folder) == NEW
    service.put(PATH, a_database(tmp_path, NEWER))
    assert update().status == INSTALLED
    assert files(folder) == [".lock", "city.mmdb", "city.mmdb.previous", FILE_NAME]


def test_update__two_processes_at_once_fetch_once(
    service: Service, folder: Path, tmp_path: Path, held: str
) -> None:
    service.put(PATH, a_database(tmp_path, NEWER), pause_seconds=0.5, piece_bytes=500)
    variables = {"GEOCACHE_UPDATE_URLS": held}
    both = [commands.start(folder.parent, "update_geo", **variables) for _ in range(2)]
    codes = []
    for process in both:
        process.communicate()
        codes.append(process.returncode)
    assert sorted(codes) == [0, os.EX_TEMPFAIL]
    assert service.asked.count(PATH) == 1
    assert built_at(folder) == NEWER


READER = """
import os, pathlib, threading, time
from geocache.lookup import lookup_many
from geocache.lookup.memory import memory
from geocache.providers import mmdb
mmdb.RECHECK_SECONDS = 0.1
until = time.monotonic() + 90
seen = {}

def read(_):
    while time.monotonic() < until and seen.get(LAST, 0) < 100:
        memory.clear()
        for place in lookup_many(["8.8.8.8", "1.1.1.1", "9.9.9.9"]).values():
            answer = f"{place.city}, {place.country_code}, {place.source}{place.reason}"
            seen[answer] = seen.get(answer, 0) + 1

LAST = "Newville, GB, GeoLite2-City 2025-10-09"
threads = [threading.Thread(target=read, args=[n]) for n in range(3)]
for thread in threads:
    thread.start()
while not seen:
    time.sleep(0.01)
pathlib.Path(os.environ["READY"], str(os.getpid())).touch()
for thread in threads:
    thread.join()
print("; ".join(sorted(seen)))
"""


@pytest.mark.django_db(transaction=True)
def test_update__under_load_no_answer_is_wrong_or_missing(
    service: Service, folder: Path, tmp_path: Path, use: Callable[..., None]
) -> None:
    url = service.put(PATH, a_database(tmp_path, OLD, city="Oldville"))
    use(UPDATE_URLS=[url])
    update()
    ready = tmp_path / "ready"
    ready.mkdir()
    variables = {"GEOCACHE_VAR_DIR": str(folder.parent), "READY": str(ready)}
    readers = [processes.start_script(READER, **variables) for _ in range(3)]
    processes.wait_until(lambda: len(list(ready.iterdir())) == len(readers))
    for build, city in ((NEW, "Midville"), (NEWER, "Newville")):
        service.put(PATH, a_database(tmp_path, build, city=city))
        assert update().status == INSTALLED
    outputs = [reader.communicate(timeout=120)[0] for reader in readers]

    # Each process has seen the first and the last, perhaps the one between, and nothing else: no
    # failure, no half file, no city of one build under the name of another.
    first, between, last = (
        f"{city}, GB, GeoLite2-City {day}"
        for city, day in (
            ("Oldville", "2023-11-14"),
            ("Midville", "2025-06-15"),
            ("Newville", "2025-10-09"),
        )
    )
    for output in outputs:
        seen = set(output.splitlines()[-1].split("; "))
        assert {first, last} <= seen <= {first, between, last}
