import errno
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import redis
from django.core.exceptions import ImproperlyConfigured

from geocache.providers.http.maxmind import MaxMindProvider
from project import environment
from tests.support.tcp_proxy import a_black_hole

pytestmark = pytest.mark.any_services


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in ("SECRET_KEY", "DATABASE_URL", "CACHE_URL", "CACHE_KEY_PREFIX", "GEOCACHE_VAR_DIR"):
        monkeypatch.delenv(name, raising=False)


def assert_one_line(refusal, *words):
    message = str(refusal.value)
    assert "\n" not in message
    assert all(word in message for word in words)


# --- flag, listed, whole -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("1", "true", "True", "YES", "on", " true ")),
        *((text, False) for text in ("0", "false", "False", "NO", "off", " 0 ")),
    ],
)
def test_flag__is_what_people_write(monkeypatch, text, value):
    monkeypatch.setenv("FLAG", text)
    assert environment.flag("FLAG", default=not value) is value


def test_flag__unset_or_empty_is_the_default(monkeypatch):
    monkeypatch.delenv("FLAG", raising=False)
    assert environment.flag("FLAG", default=True) is True
    monkeypatch.setenv("FLAG", " ")
    assert environment.flag("FLAG", default=False) is False


@pytest.mark.parametrize("text", ["2", "maybe", "truefalse", "None", "ja", "-1"])
def test_flag__nonsense_is_refused(monkeypatch, text):
    monkeypatch.setenv("FLAG", text)
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.flag("FLAG", default=True)
    assert_one_line(refusal, "FLAG", text.lower(), "true or false")


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", []),
        (" ", []),
        (",,", []),
        ("a", ["a"]),
        (" a , b ,", ["a", "b"]),
        ("/srv/a b.mmdb,/srv/c.mmdb", ["/srv/a b.mmdb", "/srv/c.mmdb"]),
    ],
)
def test_listed__splits_at_commas_without_empty_items(monkeypatch, text, items):
    monkeypatch.setenv("LIST", text)
    assert environment.listed("LIST") == items


def test_listed__unset_is_the_default(monkeypatch):
    monkeypatch.delenv("LIST", raising=False)
    assert environment.listed("LIST") == []
    assert environment.listed("LIST", ["a"]) == ["a"]


@pytest.mark.parametrize(("text", "value"), [("0", 0), (" 17 ", 17), ("", 5), ("007", 7)])
def test_whole__is_a_number_or_the_default(monkeypatch, text, value):
    monkeypatch.setenv("NUMBER", text)
    assert environment.whole("NUMBER", default=5) == value


@pytest.mark.parametrize(
    "text", ["-1", "1.5", "1e6", "1_000", "ten", "\u0661", "0x10", "²", "9" * 5000]
)
def test_whole__nonsense_is_refused(monkeypatch, text):
    monkeypatch.setenv("NUMBER", text)
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.whole("NUMBER", default=5)
    assert_one_line(refusal, "NUMBER", "whole number")


# --- time_zone ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "zone"), [("", "UTC"), (" Europe/Berlin ", "Europe/Berlin"), ("UTC", "UTC")]
)
def test_time_zone__is_a_name_or_the_default(monkeypatch, text, zone):
    monkeypatch.setenv("TIME_ZONE", text)
    assert environment.time_zone(default="UTC") == zone


@pytest.mark.parametrize("text", ["Mars/Base", "../../etc/passwd", "Europe", "+01:00", "/etc"])
def test_time_zone__one_that_is_not_known_is_refused(monkeypatch, text):
    monkeypatch.setenv("TIME_ZONE", text)
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.time_zone(default="UTC")
    assert_one_line(refusal, "TIME_ZONE", text)


# --- var_dir -----------------------------------------------------------------------------------


def test_var_dir__is_made_for_its_owner_only(tmp_path):
    folder = environment.var_dir(tmp_path / "a/var")
    assert folder == tmp_path / "a/var"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_var_dir__of_the_environment_wins_and_a_tilde_is_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GEOCACHE_VAR_DIR", "~/var")
    assert environment.var_dir(tmp_path / "other") == tmp_path / "var"
    assert not (tmp_path / "other").exists()


def test_var_dir__that_is_there_keeps_its_mode(tmp_path):
    folder = tmp_path / "var"
    folder.mkdir(mode=0o750)
    environment.var_dir(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


@pytest.mark.parametrize("below", ["", "var", "a/b/var"])
def test_var_dir__that_cannot_be_made_is_refused(monkeypatch, tmp_path, below):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("GEOCACHE_VAR_DIR", str(tmp_path / "file" / below))
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.var_dir(tmp_path)
    assert_one_line(refusal, "GEOCACHE_VAR_DIR", str(tmp_path / "file"), "cannot be made")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_var_dir__that_cannot_be_written_is_refused(tmp_path):
    folder = tmp_path / "var"
    folder.mkdir(mode=0o500)
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.var_dir(folder)
    assert_one_line(refusal, "GEOCACHE_VAR_DIR", "cannot be written")


# --- secret_key --------------------------------------------------------------------------------


def test_secret_key__is_made_once_and_kept_for_its_owner_only(tmp_path):
    key = environment.secret_key(tmp_path, is_debug=True)
    assert len(key) >= 50
    assert environment.secret_key(tmp_path, is_debug=True) == key
    (kept,) = tmp_path.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_secret_key__differs_from_folder_to_folder(tmp_path):
    keys = set()
    for name in "abc":
        (tmp_path / name).mkdir()
        keys.add(environment.secret_key(tmp_path / name, is_debug=True))
    assert len(keys) == 3


def test_secret_key__of_many_that_start_at_once_is_one(tmp_path):
    for n in range(20):
        folder = tmp_path / str(n)
        folder.mkdir()
        with ThreadPoolExecutor(4) as pool:
            made = [pool.submit(environment.secret_key, folder, is_debug=True) for _ in range(4)]
            assert len({one.result() for one in made}) == 1
        assert [path.name for path in folder.iterdir()] == ["secret_key"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_secret_key__needs_no_hard_link_and_leaves_no_draft(monkeypatch, tmp_path, code):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.link", refuse)
    key = environment.secret_key(tmp_path, is_debug=True)
    assert environment.secret_key(tmp_path, is_debug=True) == key
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_secret_key__that_another_process_is_writing_is_waited_for(tmp_path):
    kept = tmp_path / "secret_key"
    kept.touch()
    with ThreadPoolExecutor(1) as pool:
        key = pool.submit(environment.secret_key, tmp_path, is_debug=True)
        kept.write_text("written a moment later")
        assert key.result() == "written a moment later"


def test_secret_key__an_empty_file_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "WRITE_SECONDS", 0)
    (tmp_path / "secret_key").touch()
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.secret_key(tmp_path, is_debug=True)
    assert_one_line(refusal, "secret_key is empty; delete it")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_secret_key__a_full_disk_is_told_and_leaves_nothing(monkeypatch, tmp_path, code):
    def fail(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.secret_key(tmp_path, is_debug=True)
    assert_one_line(refusal, os.strerror(code))
    assert list(tmp_path.iterdir()) == []


def test_secret_key__a_folder_in_its_place_is_told(tmp_path):
    (tmp_path / "secret_key").mkdir()
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.secret_key(tmp_path, is_debug=True)
    assert_one_line(refusal, "Is a directory")


def test_secret_key__of_the_environment_wins_and_is_not_written_down(monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET_KEY", "$from=the environment,")
    for is_debug in (True, False):
        assert environment.secret_key(tmp_path, is_debug=is_debug) == "$from=the environment,"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [None, ""])
def test_secret_key__production_does_not_start_without_one(monkeypatch, tmp_path, given):
    (tmp_path / "secret_key").write_text("from the time when DEBUG was on")
    if given is not None:
        monkeypatch.setenv("SECRET_KEY", given)
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.secret_key(tmp_path, is_debug=False)
    assert_one_line(refusal, "SECRET_KEY is not set")


# --- database ----------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, ""])
def test_database__by_default_is_sqlite_that_waits_for_its_lock(monkeypatch, tmp_path, given):
    if given is not None:
        monkeypatch.setenv("DATABASE_URL", given)
    configured = environment.database(tmp_path)
    assert configured["ENGINE"] == "django.db.backends.sqlite3"
    assert configured["NAME"] == tmp_path / "geocache.sqlite3"
    assert configured["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "WAL" in configured["OPTIONS"]["init_command"]


def test_database__sqlite_by_url_is_set_up_the_same(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "sqlite:////srv/geo.sqlite3")
    configured = environment.database(tmp_path)
    assert configured["NAME"] == "/srv/geo.sqlite3"
    assert configured["OPTIONS"] == environment.database(Path("/x"))["OPTIONS"]
    assert configured["OPTIONS"]["timeout"] == 20


def test_database__postgresql_by_url(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "postgres://me:p%40ss@db.example:5433/geo?sslmode=require")
    configured = environment.database(tmp_path)
    assert configured["ENGINE"] == "django.db.backends.postgresql"
    assert (configured["NAME"], configured["HOST"], configured["PORT"]) == (
        "geo",
        "db.example",
        5433,
    )
    assert (configured["USER"], configured["PASSWORD"]) == ("me", "p@ss")
    assert configured["OPTIONS"] == environment.POSTGRES_OPTIONS | {"sslmode": "require"}
    assert configured["CONN_HEALTH_CHECKS"] is True
    assert configured["CONN_MAX_AGE"] == 60


@pytest.mark.slow
def test_database__postgresql_that_has_vanished_is_given_up(monkeypatch, tmp_path):
    with a_black_hole() as port:
        monkeypatch.setenv("DATABASE_URL", f"postgres://me@127.0.0.1:{port}/geo?connect_timeout=2")
        configured = environment.database(tmp_path)
        assert configured["OPTIONS"] == environment.POSTGRES_OPTIONS | {"connect_timeout": 2}
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            psycopg.connect(host="127.0.0.1", port=port, dbname="geo", **configured["OPTIONS"])


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "geocache.sqlite3",
        "/srv/geo.sqlite3",
        "http://example.com/db",
        "oops://u:hunter2@h/db",
        "postgres://u:hunter2@h:port/db",
        "postgres://[::1/db",
        "://",
        " ",
    ],
)
def test_database__a_url_that_is_none_is_refused_without_repeating_it(monkeypatch, tmp_path, url):
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.database(tmp_path)
    assert_one_line(refusal, "DATABASE_URL")
    assert "hunter2" not in str(refusal.value)


# --- geocache_cache ----------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, ""])
def test_cache__by_default_is_the_embedded_one(monkeypatch, tmp_path, given):
    if given is not None:
        monkeypatch.setenv("CACHE_URL", given)
    configured = environment.geocache_cache(tmp_path)
    assert configured["BACKEND"] == "geocache.cache.embedded.EmbeddedCache"
    assert configured["LOCATION"] == str(tmp_path / "cache")


@pytest.mark.parametrize(
    "url", ["redis://h:6379/1", "rediss://:pw@h/0", "unix:///run/redis.sock?db=2"]
)
def test_cache__redis_by_url_waits_for_seconds_and_unpickles_nothing(monkeypatch, tmp_path, url):
    monkeypatch.setenv("CACHE_URL", url)
    configured = environment.geocache_cache(tmp_path)
    assert configured["BACKEND"] == "django.core.cache.backends.redis.RedisCache"
    assert configured["LOCATION"] == url
    assert configured["KEY_PREFIX"] == "geocache"
    options = configured["OPTIONS"]
    assert options["serializer"] == "geocache.cache.backends.TextSerializer"
    assert 0 < options["socket_connect_timeout"] <= options["socket_timeout"] <= 10


def test_cache__key_prefix_by_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("CACHE_URL", "redis://h")
    monkeypatch.setenv("CACHE_KEY_PREFIX", "site")
    assert environment.geocache_cache(tmp_path)["KEY_PREFIX"] == "site"


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "127.0.0.1:6379",
        "http://u:hunter2@h",
        "memcached://h",
        "redis:/",
        "REDIS://h",
        "http://[::1",
        " ",
    ],
)
def test_cache__a_url_that_is_none_is_refused_without_repeating_it(monkeypatch, tmp_path, url):
    monkeypatch.setenv("CACHE_URL", url)
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.geocache_cache(tmp_path)
    assert_one_line(refusal, "CACHE_URL")
    assert "hunter2" not in str(refusal.value)


def test_cache__several_servers_are_a_list_that_redis_itself_splits(monkeypatch, tmp_path):
    monkeypatch.setenv("CACHE_URL", "redis://one:6379,redis://two:6379")
    assert environment.geocache_cache(tmp_path)["LOCATION"] == "redis://one:6379,redis://two:6379"


@pytest.mark.parametrize(
    "password", ["pa,ss", "pa;ss", "p#a", "p/a", "p?a", "p@a", "p:a", "p%2Ca", "p[a]", "ü", "1/2"]
)
@pytest.mark.parametrize("user", ["", "me"])
def test_cache__a_password_of_any_characters_is_read(monkeypatch, tmp_path, user, password):
    monkeypatch.setenv("CACHE_URL", f"redis://{user}:{password}@127.0.0.1:6380/8")
    entry = environment.geocache_cache(tmp_path)
    # Django splits it there.
    (server,) = re.split("[,;]", entry["LOCATION"])
    connection = redis.connection.parse_url(server)
    assert connection["password"] == password.replace("%2C", ",")
    assert connection.get("username") == (user or None)
    assert (connection["host"], connection["port"], connection["db"]) == ("127.0.0.1", 6380, 8)


def test_cache__passwords_of_several_servers_are_their_own(monkeypatch, tmp_path):
    monkeypatch.setenv("CACHE_URL", "redis://:a,b@one;rediss://:c;d@two:6380/1,unix:///run/@x?db=2")
    location = environment.geocache_cache(tmp_path)["LOCATION"]
    assert location == "redis://:a%2Cb@one;rediss://:c%3Bd@two:6380/1,unix:///run/@x?db=2"


@pytest.mark.parametrize(
    "url", ["redis://one,two", "redis://h:x/1", "redis://h:99999", "redis://h#1"]
)
def test_cache__a_server_that_cannot_be_read_is_refused(monkeypatch, tmp_path, url):
    monkeypatch.setenv("CACHE_URL", url.replace("://", "://:hunter2@"))
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.geocache_cache(tmp_path)
    assert_one_line(refusal, "CACHE_URL cannot be read")
    assert "hunter2" not in str(refusal.value)


# --- provider ----------------------------------------------------------------------------------

MMDB = {"BACKEND": "geocache.providers.mmdb.MmdbProvider"}


@pytest.fixture
def account(monkeypatch):
    monkeypatch.setenv("GEOCACHE_MAXMIND_ACCOUNT_ID", "42")
    monkeypatch.setenv("GEOCACHE_MAXMIND_LICENSE_KEY", "$key")


def test_geocache_provider__by_default_reads_files():
    assert environment.geocache_provider() == MMDB


@pytest.mark.usefixtures("account")
def test_geocache_provider__an_account_alone_asks_the_free_service():
    assert environment.geocache_provider() == {
        "BACKEND": "geocache.providers.http.maxmind.MaxMindProvider",
        "OPTIONS": {
            "account_id": "42",
            "license_key": "$key",
            "service": "city",
            "host": "geolite.info",
            "timeout_seconds": 5,
        },
    }


@pytest.mark.usefixtures("account")
def test_geocache_provider__host_service_and_timeout(monkeypatch):
    monkeypatch.setenv("GEOCACHE_MAXMIND_HOST", "geoip.maxmind.com")
    monkeypatch.setenv("GEOCACHE_MAXMIND_SERVICE", "insights")
    monkeypatch.setenv("GEOCACHE_MAXMIND_TIMEOUT_SECONDS", "2")
    provider = MaxMindProvider(**environment.geocache_provider()["OPTIONS"])
    assert provider.check() == []
    assert provider.build() == "maxmind-geoip.maxmind.com-insights-3"
    assert provider.timeout_seconds == 2


@pytest.mark.usefixtures("account")
def test_geocache_provider__files_that_are_named_go_first(monkeypatch):
    monkeypatch.setenv("GEOCACHE_DATABASES", "/srv/City.mmdb")
    assert environment.geocache_provider() == MMDB


def test_geocache_provider__half_an_account_is_left_to_the_check(monkeypatch):
    monkeypatch.setenv("GEOCACHE_MAXMIND_LICENSE_KEY", "key")
    (problem,) = MaxMindProvider(**environment.geocache_provider()["OPTIONS"]).check()
    assert "account id" in problem


# --- lists and bans ----------------------------------------------------------------------------


def test_named__pairs_of_a_name_and_a_place(monkeypatch):
    monkeypatch.setenv("LISTS", "ipsum=https://a.example/x?y=z, own = /srv/own ,")
    assert environment.named("LISTS") == {"ipsum": "https://a.example/x?y=z", "own": "/srv/own"}
    monkeypatch.delenv("LISTS")
    assert environment.named("LISTS") == {}


@pytest.mark.parametrize("text", ["/srv/own", "https://a.example/x?y=z", "=/srv/own", "own="])
def test_named__place_without_a_name_is_refused(monkeypatch, text):
    monkeypatch.setenv("LISTS", text)
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.named("LISTS")
    assert_one_line(refusal, "LISTS", "ipsum=https://")


def test_scores__are_numbers_by_the_names_of_lists(monkeypatch):
    assert environment.scores("SCORES") == {}
    monkeypatch.setenv("SCORES", "ipsum=3, a=b = 0.5,")
    assert environment.scores("SCORES") == {"ipsum": 3.0, "a=b": 0.5}


@pytest.mark.parametrize("text", ["3", "ipsum", "=3", "ipsum=", "ipsum=many", "ipsum=nan"])
def test_scores__nonsense_is_one_line(monkeypatch, text):
    monkeypatch.setenv("SCORES", text)
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.scores("SCORES")
    assert_one_line(refusal, "SCORES", "ipsum=3")


def test_geocache_ban_action__is_none_a_jail_or_a_file(monkeypatch):
    assert environment.geocache_ban_action() is None
    monkeypatch.setenv("GEOCACHE_BAN_JAIL", "geocache")
    assert environment.geocache_ban_action() == {
        "BACKEND": "geocache.bans.fail2ban.Fail2banAction",
        "OPTIONS": {"jail": "geocache", "socket": ""},
    }
    monkeypatch.setenv("GEOCACHE_BAN_NFTABLES_FILE", "/etc/nftables.d/geocache.nft")
    with pytest.raises(ImproperlyConfigured, match="not both"):
        environment.geocache_ban_action()
    monkeypatch.delenv("GEOCACHE_BAN_JAIL")
    monkeypatch.setenv("GEOCACHE_BAN_NFTABLES_APPLY", "true")
    action = environment.geocache_ban_action()
    assert action["OPTIONS"] == {
        "path": "/etc/nftables.d/geocache.nft",
        "command": ["nft", "-f"],
    }


def test_json_object__is_a_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.json_object("OBJECT") == {}
    monkeypatch.setenv("OBJECT", ' {"own": {"column": 2}} ')
    assert environment.json_object("OBJECT") == {"own": {"column": 2}}


@pytest.mark.parametrize(
    ("text", "said"), [("own=csv", "OBJECT is not JSON: "), ("[1]", "has to be a JSON object")]
)
def test_json_object__rejects_nonsense(
    monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setenv("OBJECT", text)
    with pytest.raises(ImproperlyConfigured, match=said):
        environment.json_object("OBJECT")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        (" cloudflare ", "cloudflare"),
        ('{"country_code": "X-Country"}', {"country_code": "X-Country"}),
    ],
)
def test_name_or_json(monkeypatch, text, value):
    monkeypatch.setenv("GEOCACHE_EDGE_HEADERS", text)
    assert environment.name_or_json("GEOCACHE_EDGE_HEADERS") == value


def test_name_or_json__what_cannot_be_read(monkeypatch):
    monkeypatch.setenv("GEOCACHE_EDGE_HEADERS", "{country_code: X}")
    with pytest.raises(ImproperlyConfigured, match="GEOCACHE_EDGE_HEADERS is not JSON"):
        environment.name_or_json("GEOCACHE_EDGE_HEADERS")
