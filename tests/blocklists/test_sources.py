import gzip
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from geocache.blocklists import sources
from geocache.blocklists.apply import import_content
from geocache.blocklists.outcome import Outcome
from geocache.blocklists.sources import find_origin
from geocache.exceptions import ImportFailed
from geocache.models import ImportRun, ImportSource
from tests.factories import use_dummy_provider
from tests.support.blocklists import imported, listed
from tests.support.database_server import Service, serving

pytestmark = pytest.mark.django_db


@pytest.fixture
def service(settings: Any) -> Iterator[Service]:
    use_dummy_provider(settings)
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_HOSTS": ["127.0.0.1"]}
    with serving() as running:
        yield running


def import_from(place: str, name: str = "") -> Outcome:
    origin = find_origin(place, name)
    with sources.content_of(origin) as content:
        return import_content(origin, content)


def use(settings: Any, **given: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, **given}


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/srv/ipsum.txt", "ipsum"),
        ("/srv/firehol_level1.netset.gz", "firehol_level1"),
        ("https://lists.example/a/drop.json?key=secret", "drop"),
        ("https://lists.example/", "lists.example"),
        ("known", "known"),
        ("https://known.example/x", "known"),
    ],
)
def test_find_origin__is_called_as_its_file_or_in_the_settings(
    settings: Any, place: str, name: str
) -> None:
    use(settings, IMPORT_SOURCES={"known": "https://known.example/x"})
    assert find_origin(place).name == name
    assert find_origin(place, "mine").name == "mine"


@pytest.mark.parametrize("place", ["-", "/srv/.hidden", "/srv/" + "a" * 101])
def test_find_origin__refuses_what_has_no_name(place: str) -> None:
    with pytest.raises(ImportFailed, match="say with --name"):
        find_origin(place)


def test_shown__of_a_url_is_its_host() -> None:
    assert find_origin("https://u:p@lists.example/x?key=secret").shown == "lists.example"


def test_content_of__unchanged_costs_one_question(service: Service) -> None:
    url = service.put("/ipsum.txt", b"1.1.1.1\n", etag='"one"')
    assert import_from(url).status == "applied"
    assert import_from(url).status == "unchanged"
    assert service.statuses == [200, 304]
    service.put("/ipsum.txt", b"2.2.2.2\n", etag='"two"')
    assert import_from(url).added_count == 1
    assert listed("ipsum") == ["2.2.2.2"]


def test_content_of__what_came_otherwise_since_is_fetched_again(service: Service) -> None:
    url = service.put("/ipsum.txt", b"1.1.1.1\n", etag='"one"')
    import_from(url)
    imported("2.2.2.2", name="ipsum")
    assert import_from(url).status == "applied"
    assert service.statuses == [200, 200]
    assert listed("ipsum") == ["1.1.1.1"]


def test_content_of__what_older_readers_have_read_is_fetched_again(service: Service) -> None:
    url = service.put("/ipsum.txt", b"1.1.1.1\n", etag='"one"')
    import_from(url)
    ImportRun.objects.update(reader_version=0)
    assert import_from(url).status == "applied"
    assert import_from(url).status == "unchanged"
    assert service.statuses == [200, 200, 304]


def test_content_of__gzip(service: Service) -> None:
    url = service.put("/ipsum.txt.gz", gzip.compress(b"1.1.1.1\n", mtime=0))
    assert import_from(url).entry_count == 1
    assert ImportSource.objects.get().current_run.origin == "127.0.0.1"


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("https://elsewhere.example/a", "elsewhere.example is not asked: add it to IMPORT_HOSTS"),
        ("ftp://127.0.0.1/a", "only https:// is safe"),
        ("http://known.example/a", "known.example is not asked: only https:// is safe"),
        ("https://[/a", "what should be a URL is not one"),
        (r"https://10.1.2.3\@known.example/a", "a URL with a space, a backslash or"),
        ("https://name:key@known.example/a", "holds a user name, which is not sent"),
    ],
)
def test_content_of__refuses_hosts_that_nobody_has_named(
    settings: Any, place: str, why: str
) -> None:
    use(settings, IMPORT_HOSTS=["127.0.0.1"], IMPORT_SOURCES={"x": "https://known.example/x"})
    with pytest.raises(ImportFailed, match=why):
        import_from(place, "test")


def test_content_of__refuses_redirects_elsewhere(service: Service) -> None:
    headers = {"Location": "https://10.0.0.1/x"}
    url = service.put("/a", b"", status=302, headers=headers)
    with pytest.raises(ImportFailed, match=r"redirects to 10\.0\.0\.1; .* add it to IMPORT_HOSTS"):
        import_from(url)


def test_content_of__is_bounded_in_size(service: Service, settings: Any) -> None:
    use(settings, IMPORT_MAX_BYTES=1000)
    url = service.put("/a", b"1.1.1.1\n" * 1000)
    with pytest.raises(ImportFailed, match="larger than 1,000 bytes"):
        import_from(url)


def test_content_of__is_bounded_in_time(service: Service, settings: Any) -> None:
    use(settings, IMPORT_TIME_LIMIT_SECONDS=0)
    with pytest.raises(ImportFailed, match="not done within IMPORT_TIME_LIMIT_SECONDS"):
        import_from(service.put("/a", b"1.1.1.1\n"))


def test_content_of__cut_off_is_refused(service: Service) -> None:
    url = service.put("/a", b"1.1.1.1\n" * 100, cut_at=80)
    with pytest.raises(ImportFailed):
        import_from(url)
    assert listed("a") == []


def test_content_of__damaged_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"1.1.1.1\n" * 1000, mtime=0)[:-20])
    with pytest.raises(ImportFailed, match="damaged or cut off"):
        import_from(str(path))


def test_content_of__folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match="cannot be read: Is a directory"):
        import_from(str(tmp_path), "test")


def test_content_of__database_that_is_written_to(tmp_path: Path, settings: Any) -> None:
    use_dummy_provider(settings)
    path = tmp_path / "fail2ban.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE bans (jail TEXT, ip TEXT, timeofban INT)")
        database.execute("INSERT INTO bans VALUES ('sshd', '1.1.1.1', 1), ('sshd', '1.1.1.1', 2)")
        database.commit()
        # It is in the log of the database only, not in its file.
        outcome = import_from(str(path))
    assert (outcome.format_name, outcome.entry_count) == ("fail2ban's database", 1)
    assert listed("fail2ban") == ["1.1.1.1"]


def test_content_of__another_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE other (ip TEXT)")
    with pytest.raises(ImportFailed, match="no database of fail2ban: no such table"):
        import_from(str(path))


def test_content_of__refusal_speaks_of_a_list(service: Service) -> None:
    with pytest.raises(ImportFailed, match=r"has no such list \(404\); check its URL"):
        import_from(service.url + "/a")
    url = service.put("/b", b"", status=304)
    with pytest.raises(ImportFailed, match=r"nothing has changed \(304\), which it was not asked"):
        import_from(url)


def test_remember__key_in_a_url_is_stored_nowhere(service: Service) -> None:
    url = service.put("/ipsum.txt?key=hunter2", b"1.1.1.1\n", etag='"one"')
    import_from(url)
    assert import_from(url).status == "unchanged"
    assert service.statuses == [200, 304]
    # Another key is another URL: its service may know the content by another name.
    import_from(service.put("/ipsum.txt?key=hunter3", b"1.1.1.1\n", etag='"one"'))
    assert service.statuses == [200, 304, 200]
    dumped = StringIO()
    call_command("dumpdata", "geocache", stdout=dumped)
    assert "ipsum" in dumped.getvalue()
    assert "hunter" not in dumped.getvalue()
