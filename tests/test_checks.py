import inspect
import os
import re
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.sessions.backends.cache import SessionStore
from django.core import checks
from django.core.cache import BaseCache
from django.core.management import call_command
from structlog.testing import capture_logs

from geocache import checks as journal_checks
from geocache.bans import own_addresses
from geocache.cache import backends
from geocache.cache.embedded import FILE_NAME, EmbeddedCache
from geocache.journal.flush import flush_dirty
from geocache.located import checks as located_checks
from geocache.lookup import lookup
from geocache.metrics import checks as metrics_checks
from geocache.models import SettingOverride
from geocache.models import checks as database_checks
from geocache.providers import mmdb_verification
from geocache.providers.mmdb import MmdbProvider
from geocache.providers.mmdb_verification import Verification
from geocache.providers.mmdb_walk import reader_name
from geocache.providers.verified_files import Stamp, VerifiedFiles
from geocache.web import checks as page_checks
from tests.factories import CITY_RECORD, LONDON, NOON, an_mmdb, use_dummy_provider
from tests.support.tcp_proxy import a_black_hole

TEXT_SERIALIZER = "geocache.cache.backends.TextSerializer"
LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
FILES = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/nowhere"}
DUMMY = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
TABLE = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}


def ids(*, deploy: bool = False) -> set[str]:
    messages = checks.run_checks(include_deployment_checks=deploy)
    return {message.id for message in messages if (message.id or "").startswith("geo")}


def use_cache(settings: Any, cache: dict[str, Any]) -> None:
    settings.CACHES = {**settings.CACHES, "geocache": cache}


def test_checks__the_default_set_up_has_nothing_to_say() -> None:
    assert ids() == set()


@pytest.mark.parametrize(
    ("location", "is_wrong"),
    [
        ("redis://:pa,ss@127.0.0.1:1/8", True),
        ("redis://:pa;ss@127.0.0.1:1/8", True),
        ("redis://:pa%2Css@127.0.0.1:1/8", False),
        ("redis://127.0.0.1:1,redis://127.0.0.1:2", False),
        (["redis://:pa,ss@127.0.0.1:1/8"], False),
    ],
)
def test_check_location__a_password_may_not_cut_the_url(
    settings: Any, location: Any, is_wrong: bool
) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"
    use_cache(settings, {"BACKEND": backend, "LOCATION": location})
    assert ("geocache.E044" in ids()) is is_wrong


def test_check_database_age__tells_on_deploy_that_the_fallback_is_old(settings: Any) -> None:
    # Without DEBUG there is more to tell of the embedded cache.
    settings.DEBUG = True
    assert ids(deploy=True) == {"geocache.I001"}


@pytest.mark.parametrize("cache", [LOCMEM, FILES, DUMMY, TABLE])
def test_check_journal__an_unfit_cache_is_a_warning_and_an_error_on_deploy_only(
    settings: Any, cache: dict[str, Any]
) -> None:
    use_cache(settings, cache)

    found = {message.id: message for message in checks.run_checks()}
    assert "geocache.E001" not in found
    assert not found["geocache.W021"].is_serious(checks.ERROR)
    assert "cannot hold geocache's journal: " in found["geocache.W021"].msg
    assert "geocache.E001" in ids(deploy=True)


@pytest.mark.django_db
def test_check_journal__stops_no_command_of_a_host_with_locmem(settings: Any) -> None:
    use_cache(settings, LOCMEM)

    call_command("check", verbosity=0)
    call_command("migrate", verbosity=0, skip_checks=False)


class EvictingCache(BaseCache):
    """What a diskcache of the project's own shows of its policy."""

    _cache = SimpleNamespace(eviction_policy="least-recently-stored")

    def __init__(self, _: str, params: dict[str, Any]) -> None:
        super().__init__(params)


def test_check_journal__refuses_a_diskcache_that_evicts(settings: Any) -> None:
    use_cache(settings, {"BACKEND": f"{__name__}.EvictingCache"})

    (message,) = [one for one in checks.run_checks() if one.id == "geocache.W021"]
    assert 'eviction_policy is "least-recently-stored"' in message.msg
    assert "geocache.E001" in ids(deploy=True)


class RoundingCache(EmbeddedCache):
    """A cache of another library whose counters are doubles."""

    def incr(self, *arguments: Any, **options: Any) -> int:
        return super().incr(*arguments, **options) // 256 * 256


def test_check_journal__says_what_a_cache_does_not_do(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "EmbeddedCache", type("Own", (EmbeddedCache,), {}))
    monkeypatch.setattr("geocache.checks.EmbeddedCache", type("Own", (EmbeddedCache,), {}))
    use_cache(settings, {"BACKEND": f"{__name__}.RoundingCache", "LOCATION": str(tmp_path)})

    (message,) = [one for one in checks.run_checks() if one.id == "geocache.W021"]
    assert "RoundingCache cannot hold geocache's journal: its incr() has to be exact" in message.msg


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis://nobody:wrong@{}"])
def test_check_journal__a_server_that_is_down_is_said_on_deploy(
    settings: Any, redis_url: str, url: str
) -> None:
    own = "geocache.cache.backends.TextSerializer"
    use_cache(
        settings,
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url.format(redis_url.partition("://")[2]),
            "OPTIONS": {"serializer": own},
        },
    )

    assert ids() == set()
    (message,) = [
        one
        for one in checks.run_checks(include_deployment_checks=True)
        if one.id == "geocache.W007"
    ]
    assert "cannot be reached: " in message.msg


@pytest.mark.slow
def test_check_journal__a_server_that_does_not_answer_takes_two_seconds(settings: Any) -> None:
    with a_black_hole() as port:
        use_cache(
            settings,
            {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": f"redis://127.0.0.1:{port}/0",
                # As it is without any time-out of the host's own.
                "OPTIONS": {"socket_timeout": 20, "serializer": TEXT_SERIALIZER},
            },
        )
        started = time.monotonic()
        assert ids() == set()
        assert time.monotonic() - started < 3
        assert "geocache.W007" in ids(deploy=True)


def test_check_journal__makes_no_file_of_the_embedded_cache(settings: Any, tmp_path: Path) -> None:
    settings.CACHES = {"default": settings.CACHES["default"]}
    settings.GEOCACHE = {**settings.GEOCACHE, "VAR_DIR": tmp_path / "var"}

    assert ids() == set()
    assert ids(deploy=True) == {"geocache.I001", "geocache.I060"}
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def city_only(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """A project with a database file of its own, and an empty folder for all that is written."""
    city = an_mmdb(tmp_path / "city.mmdb", {"81.2.69.0/24": CITY_RECORD})
    settings.CACHES = {"default": settings.CACHES["default"]}
    settings.GEOCACHE = {
        **settings.GEOCACHE,
        "VAR_DIR": tmp_path / "var",
        "DATABASES": [str(city)],
    }
    mmdb_verification.verifications.clear()
    yield city
    mmdb_verification.verifications.clear()


def test_check_provider__makes_no_file_of_a_database(city_only: Path, tmp_path: Path) -> None:
    assert ids() == set()
    assert ids(deploy=True) == {"geocache.I060"}
    assert list(tmp_path.iterdir()) == [city_only]


def test_check_provider__what_it_verified_is_remembered_by_the_first_look_up(
    city_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ids() == set()
    # Not walked through again, which takes 25 seconds for 60 MB.
    monkeypatch.setattr(Verification, "find_problem", lambda _: pytest.fail("verified again"))
    assert MmdbProvider([city_only]).resolve(LONDON).city == "Testville"
    var = tmp_path / "var"
    verified = VerifiedFiles(var / "verified_databases.json", reader_name())
    assert verified.has(Stamp.of(city_only))
    assert len(list(var.glob("opened_databases/*"))) == 1


def test_check_journal__leaves_a_damaged_cache_to_who_uses_it(
    settings: Any, tmp_path: Path
) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database")
    embedded = "geocache.cache.embedded.EmbeddedCache"
    use_cache(settings, {"BACKEND": embedded, "LOCATION": str(tmp_path)})
    assert "geocache.W001" in ids()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_check_machines__a_server_or_a_developer_has_nothing_to_be_told(settings: Any) -> None:
    settings.DEBUG = True
    assert "geocache.I060" not in ids(deploy=True)
    settings.DEBUG = False
    use_cache(settings, LOCMEM)
    assert "geocache.I060" not in ids(deploy=True)


def test_check_journal__warns_of_a_folder_that_cannot_be_made(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CACHES = {"default": settings.CACHES["default"]}
    settings.GEOCACHE = {**settings.GEOCACHE, "VAR_DIR": tmp_path / "var"}
    # Root may write anywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)

    assert "geocache.W001" in ids()


@pytest.mark.parametrize("content", [None, b"no database"])
def test_check_journal__warns_of_an_embedded_cache_that_cannot_be_opened(
    settings: Any, tmp_path: Path, content: bytes | None
) -> None:
    folder = tmp_path / "cache"
    if content is None:
        folder.touch()
    else:
        folder.mkdir()
        (folder / FILE_NAME).write_bytes(content)
    embedded = "geocache.cache.embedded.EmbeddedCache"
    use_cache(settings, {"BACKEND": embedded, "LOCATION": str(folder)})

    assert "geocache.W001" in ids()


UNPICKLING = [
    ("django.core.cache.backends.redis.RedisCache", "redis"),
    ("django_redis.cache.RedisCache", "redis"),
    ("django_valkey.cache.ValkeyCache", "valkey"),
]


@pytest.mark.parametrize(("backend", "scheme"), UNPICKLING)
def test_check_shared_cache__warns_of_a_redis_that_unpickles(
    settings: Any, backend: str, scheme: str
) -> None:
    use_cache(settings, {"BACKEND": backend, "LOCATION": f"{scheme}://127.0.0.1:1"})

    (message,) = [one for one in checks.run_checks() if one.id == "geocache.W002"]
    assert "an entry of its own" in str(message.hint)


@pytest.mark.parametrize(
    ("options", "does_break"), [({}, False), ({"serializer": TEXT_SERIALIZER}, True)]
)
def test_check_shared_cache__warns_of_the_cache_of_the_whole_site(
    settings: Any, options: dict[str, Any], does_break: bool
) -> None:
    default = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:1",
        "OPTIONS": options,
    }
    settings.CACHES = {**settings.CACHES, "default": default}
    settings.GEOCACHE = {**settings.GEOCACHE, "CACHE_ALIAS": "default"}

    (message,) = [one for one in checks.run_checks() if one.id == "geocache.W022"]
    assert ("breaks sessions" in message.msg) is does_break
    assert "an entry of its own" in str(message.hint)
    assert "geocache.W002" not in ids()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "backend", ["django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"]
)
def test_journal__works_beside_pickled_values_of_the_host(
    settings: Any, redis_url: str, backend: str
) -> None:
    prefix = settings.CACHES["geocache"]["KEY_PREFIX"]
    default = {"BACKEND": backend, "LOCATION": redis_url, "KEY_PREFIX": prefix}
    settings.CACHES = {**settings.CACHES, "default": default}
    settings.GEOCACHE = {**settings.GEOCACHE, "CACHE_ALIAS": "default"}
    use_dummy_provider(settings)
    session = SessionStore()
    session["cart"] = {"since": date(2026, 1, 31)}
    session.save()

    with capture_logs() as logs:
        lookup("81.2.69.142")
    assert flush_dirty().flushed == 1

    assert not [log for log in logs if log["event"] == "geo_cache_written_through"]
    assert SessionStore(session.session_key)["cart"] == {"since": date(2026, 1, 31)}


@pytest.mark.parametrize(
    ("policy", "is_warned_of"),
    [
        (None, False),
        ("noeviction", False),
        ("volatile-lru", False),
        ("volatile-lfu", True),
        ("volatile-ttl", True),
        ("volatile-random", True),
        ("allkeys-lru", True),
        ("of a later release", True),
    ],
)
def test_check_journal_in_production__warns_of_a_policy_that_evicts_records_or_seals(
    monkeypatch: pytest.MonkeyPatch, policy: str | None, is_warned_of: bool
) -> None:
    memory = policy and backends.RedisMemory(policy, 0)
    monkeypatch.setattr(backends, "redis_memory", lambda _: memory)

    assert ("geocache.W003" in ids(deploy=True)) is is_warned_of


@pytest.mark.parametrize(("backend", "scheme"), UNPICKLING)
def test_redis_memory__is_asked_of_the_real_redis(
    settings: Any, redis_url: str, backend: str, scheme: str
) -> None:
    use_cache(settings, {"BACKEND": backend, "LOCATION": redis_url.replace("redis:", f"{scheme}:")})

    memory = backends.redis_memory(backends.current())

    assert memory is not None
    assert memory.policy in ("noeviction", "volatile-lru", "allkeys-lru")
    assert memory.limit >= 0


def test_check_is_scheduled__tells_on_deploy_when_its_app_is_not_installed(settings: Any) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if "scheduler" not in app]

    assert "geocache.I002" in ids(deploy=True)


def test_check_scheduler__warns_of_another_database_than_default(settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["tests.test_checks.Router"]

    assert "geocache.W005" in ids()


class Router:
    def db_for_write(self, model: Any, **_: Any) -> str | None:
        return "other" if model._meta.app_label == "django_apscheduler" else None


def test_check_provider__names_a_file_that_is_missing(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": ["/nowhere/City.mmdb"]}

    found = [message for message in checks.run_checks() if message.id == "geocache.W006"]

    assert "/nowhere/City.mmdb" in found[0].msg


def test_check_provider__one_that_does_not_exist_is_an_error(settings: Any) -> None:
    settings.GEOCACHE = {"PROVIDER": {"BACKEND": "nowhere.Provider"}}

    assert ids() == {"geocache.E004"}


@pytest.mark.parametrize(
    "given",
    [
        None,
        ["DATABASES"],
        {"DATABASE": ["a misspelt name"]},
        {5: "no name"},
        {"DATABASES": "/srv/one.mmdb"},
        {"CACHE_ALIAS": None},
        {"VAR_DIR": 5},
        {"PROVIDER": "a.dotted.Path"},
        {"BAN_ACTION": "a.dotted.Path"},
        {"LOOKUP_RATE": 5},
        {"PUBLIC_LOOKUP": "false"},
        {"TTL_SECONDS": "30"},
        {"TTL_SECONDS": True},
        {"TTL_SECONDS": -1},
        {"TTL_SECONDS": 0},
        {"TTL_SECONDS": float("nan")},
        {"TTL_SECONDS": float("inf")},
        {"TTL_SECONDS": 10**12},
        {"FLUSH_INTERVAL_SECONDS": 0.5},
        {"HISTORY_DAYS": 0},
        {"HISTORY_DAYS": 10**9},
        {"MEMORY_SIZE": 1.5},
        {"IMPORT_MAX_BYTES": 0},
        {"LOG_LEVEL": "LOUD"},
        {"LOG_LEVEL": []},
        {"BANS_ENABLED": 1},
        {"DAILY_QUOTAS": [5]},
        {"RETENTION_DAYS": None},
    ],
    ids=repr,
)
def test_check_settings__what_is_not_of_its_kind_is_one_error(settings: Any, given: Any) -> None:
    settings.GEOCACHE = given

    found = checks.run_checks(include_deployment_checks=True)
    assert [one.id for one in found if str(one.id).startswith("geo")] == ["geocache.E003"]


def test_checks__no_two_share_an_id_and_each_is_documented() -> None:
    uses: dict[str, set[str]] = {}
    for module in (journal_checks, database_checks, located_checks, metrics_checks, page_checks):
        for name, check in vars(module).items():
            if name.startswith("check_") and check.__module__ == module.__name__:
                for one in re.findall(r"geocache\.[EWI]\d{3}", inspect.getsource(check)):
                    uses.setdefault(one, set()).add(name)
    shared = {one: names for one, names in uses.items() if len(names) > 1}
    documented = Path(__file__).parents[1].joinpath("docs/checks.md").read_text()

    assert not shared
    assert set(re.findall(r"`([EWI]\d{3})`", documented)) == {one[-4:] for one in uses}


def test_check_trusted_proxies__what_is_no_network_is_an_error(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": ["10.0.0.0/8", "*"]}

    assert ids() == {"geocache.E010"}


def test_check_monitoring_access__what_is_not_a_network_is_an_error(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "METRICS_ADDRESSES": ["10.0.0.0/8", "unix"]}

    assert ids() == {"geocache.E075"}


@pytest.mark.parametrize(
    ("token", "expected"), [("", set()), ("x" * 15, {"geocache.W075"}), ("x" * 16, set())]
)
def test_check_monitoring_access__a_short_token_can_be_guessed(
    settings: Any, token: str, expected: set[str]
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "METRICS_TOKEN": token}

    assert ids() == expected


@pytest.mark.parametrize("header", ["HTTP_X_REAL_IP", "", "tests.support.visitors.told"])
def test_check__header_of_visitors_that_cannot_be_read(settings: Any, header: str) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "CLIENT_IP_HEADER": header}
    assert ids() == {"geocache.E043"}


def test_check__header_of_visitors_that_never_counts(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "CLIENT_IP_HEADER": "X-Real-IP"}
    assert ids() == {"geocache.W046"}
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": ["unix"]}
    assert ids() == set()
    settings.GEOCACHE = {**settings.GEOCACHE, "VISITOR_ADDRESS": "tests.support.visitors.told"}
    assert ids() == {"geocache.W046"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests.support.visitors.told", set()),
        ("", set()),
        (None, set()),
        ("tests.support.visitors.TEXT", {"geocache.E047"}),
        ("tests.support.visitors.is_async", {"geocache.E047"}),
        ("no.such.callable", {"geocache.E047"}),
        (print, {"geocache.E003"}),
    ],
)
def test_check_visitor_address(settings: Any, path: Any, expected: set[str]) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "VISITOR_ADDRESS": path}
    assert ids() == expected


GEO = "geocache.middleware.GeoMiddleware"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, set()),
        ({"EDGE_HEADERS": "cloudflare"}, set()),
        ({"EDGE_HEADERS": "cloudflare", "EDGE_MODE": "only"}, set()),
        ({"EDGE_HEADERS": {"country_code": "X-Country"}}, set()),
        ({"EDGE_HEADERS": {}}, set()),
        ({"EDGE_MODE": "only"}, {"geocache.W095"}),
        ({"EDGE_HEADERS": "cloudflair"}, {"geocache.E094"}),
        ({"EDGE_HEADERS": "fly"}, {"geocache.E094"}),
        ({"EDGE_HEADERS": {"city": "X-City"}}, {"geocache.E094"}),
        ({"EDGE_HEADERS": {"country_code": []}}, {"geocache.E094"}),
        ({"EDGE_HEADERS": "cloudflare", "EDGE_MODE": "first"}, {"geocache.E094"}),
        ({"EDGE_HEADERS": "cloudflare", "EDGE_PROXIES": ["cf"]}, {"geocache.E094"}),
        ({"EDGE_HEADERS": "cloudflare", "EDGE_PROXIES": ["10.1.0.0/16"]}, set()),
        ({"EDGE_HEADERS": "cloudflare", "EDGE_PROXIES": ["9.9.9.9"]}, {"geocache.W095"}),
        ({"EDGE_HEADERS": "cloudflare", "EDGE_PROXIES": ["10.0.0.0/7"]}, {"geocache.W095"}),
        ({"EDGE_HEADERS": "cloudflare", "EDGE_PROXIES": ["::/8"]}, {"geocache.W095"}),
        ({"EDGE_HEADERS": "cloudflare", "EDGE_PROXIES": ["unix"]}, {"geocache.W095"}),
        ({"EDGE_HEADERS": ["cloudflare"]}, {"geocache.E003"}),
        ({"EDGE_HEADERS": None}, {"geocache.E003"}),
        ({"EDGE_HEADERS": "vercel", "TRUSTED_PROXIES": []}, {"geocache.E095"}),
        ({"EDGE_HEADERS": "vercel", "TRUSTED_PROXIES": ["0.0.0.0/0"]}, {"geocache.E095"}),
        ({"EDGE_HEADERS": "vercel", "TRUSTED_PROXIES": ["::/1", "8000::/1"]}, {"geocache.E095"}),
        # Another check says so.
        ({"EDGE_HEADERS": "vercel", "TRUSTED_PROXIES": ["*"]}, {"geocache.E010"}),
    ],
)
def test_check_edge_headers(settings: Any, given: dict[str, Any], expected: set[str]) -> None:
    settings.MIDDLEWARE = [GEO]
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": ["10.0.0.0/8"], **given}
    assert ids() == expected


def test_check_edge_headers__are_read_by_a_middleware(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": ["unix"], "EDGE_HEADERS": "vercel"}
    assert (GEO in settings.MIDDLEWARE) is (ids() == set())
    settings.MIDDLEWARE = []
    assert ids() == {"geocache.W094"}


@pytest.mark.parametrize(
    "setting", ["LOOKUP_RATE", "PUBLIC_LOOKUP_RATE", "PUBLIC_TOTAL_RATE", "PUBLIC_QUERY_RATE"]
)
def test_check_rates__what_cannot_be_read_is_an_error(settings: Any, setting: str) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, setting: "often"}

    assert ids() == {"geocache.E011"}


@pytest.mark.parametrize("rate", ["0/minute", "5/minute; 0/day", "9/400 days", f"{10**13}/day"])
def test_check_rates__numbers_that_make_no_sense_are_an_error(settings: Any, rate: str) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "LOOKUP_RATE": rate}
    assert ids() == {"geocache.E011"}


def test_check_daily_quotas__numbers_and_names(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "DAILY_QUOTAS": {"Dummy 1": "many"}}
    assert ids() == {"geocache.E072"}
    settings.GEOCACHE = {**settings.GEOCACHE, "DAILY_QUOTAS": {"Dummy 1": 100}}
    assert ids() == {"geocache.W073"}
    dummy = "geocache.providers.dummy.DummyProvider"
    settings.GEOCACHE |= {"PROVIDER": {"BACKEND": dummy, "OPTIONS": {"is_metered": True}}}
    assert ids() == set()


@pytest.mark.django_db
def test_check_stored_settings__says_which_do_not_count(settings: Any) -> None:
    for name, value in {"GONE": 1, "MEMORY_SIZE": 5, "TTL_SECONDS": -1, "HISTORY_DAYS": 9}.items():
        SettingOverride.objects.create(name=name, value=value, changed_at=NOON)
    settings.GEOCACHE = {**settings.GEOCACHE, "LOCKED_SETTINGS": ["MEMORY_SIZE"]}
    assert "geocache.W072" not in ids()
    found = checks.run_checks(databases=["default"])
    said = sorted(one.msg for one in found if one.id == "geocache.W072")
    assert said[0] == "GONE of the admin is ignored: GONE cannot be changed at run time."
    assert [line.split()[0] for line in said] == ["GONE", "MEMORY_SIZE", "TTL_SECONDS"]


@pytest.mark.parametrize("days", [1.5, 40_000])
def test_check_retention__what_is_no_number_of_days_is_an_error(settings: Any, days: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "RETENTION_DAYS": days}

    assert ids() == {"geocache.E012"}


def test_checks__another_provider_has_nothing_to_tell(settings: Any) -> None:
    settings.DEBUG = True
    use_dummy_provider(settings)

    assert ids(deploy=True) == set()


@pytest.mark.django_db
def test_makemigrations__finds_nothing_to_do() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.parametrize(
    "given",
    [
        {"BAN_ACTION": {"BACKEND": "geocache.bans.nothing.Action"}},
        {"NEVER_BAN": ["my office"]},
    ],
)
def test_check_bans__settings_that_make_no_sense(settings: Any, given: dict[str, Any]) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, **given}

    assert "geocache.E013" in ids()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"IMPORT_SOURCES": {"a" * 101: "/srv/a"}}, "longer than 100 letters"),
        ({"IMPORT_SOURCES": {"": "/srv/a"}}, "has to be printable text"),
        ({"IMPORT_SOURCES": {"a\n": "/srv/a"}}, "has to be printable text"),
        ({"CACHE_ALIAS": "c" * 101}, "CACHE_ALIAS is longer than 93 letters"),
    ],
)
def test_check_names__those_that_no_column_takes(
    settings: Any, given: dict[str, Any], problem: str
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, **given}
    [message] = [one for one in checks.run_checks() if one.id == "geocache.E016"]
    assert problem in message.msg


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("CSV", "it is 'CSV'; it has to be a dict"),
        ({"colum": "ip"}, "there is no option 'colum'; choose of format, column, score_column, "),
        ({"format": "xls"}, "there is no format 'xls'; choose one of fail2ban.log, "),
        ({"format": 1}, "format is 1; it has to be a text"),
        ({"column": ["ip"]}, "column is ['ip']; it has to be the name or number of a column"),
        ({"score_column": True}, "score_column is True; it has to be the name or number"),
        ({"allow_empty": "yes"}, "allow_empty is 'yes'; it has to be true or false"),
    ],
)
def test_check_import_options__those_that_mean_nothing(
    settings: Any, options: Any, problem: str
) -> None:
    good = {"format": "csv", "column": 2, "score_column": "count", "set": "b", "allow_empty": True}
    given = {"good": good, "own": options}
    settings.GEOCACHE = {**settings.GEOCACHE, "IMPORT_OPTIONS": given}
    [message] = [one for one in checks.run_checks() if one.id == "geocache.E045"]
    assert message.msg.startswith(f"IMPORT_OPTIONS of 'own': {problem}")


def test_check_sources__entry_that_cannot_be_read(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "SOURCES": {"a.mmdb": "Ours", "b.mmdb": 3}}
    [message] = [one for one in checks.run_checks() if one.id == "geocache.E080"]
    assert message.msg == "SOURCES of 'b.mmdb': it is 3; it has to be a name, or a dict"


def test_check_sources_are_credited__flat_file_of_unknown_origin(
    settings: Any, tmp_path: Path
) -> None:
    flat = {"81.2.69.0/24": {"country_code": "GB"}}
    path = an_mmdb(tmp_path / "ours.mmdb", flat, database_type="country ipv4")
    settings.GEOCACHE = {**settings.GEOCACHE, "DATABASES": [str(path)]}
    deploy = checks.run_checks(include_deployment_checks=True)
    [message] = [one for one in deploy if one.id == "geocache.W081"]
    assert message.msg.startswith(f"{path}: its publisher is unknown")
    settings.GEOCACHE = {**settings.GEOCACHE, "SOURCES": {"ours.mmdb": "Our networks"}}
    deploy = checks.run_checks(include_deployment_checks=True)
    assert not [one for one in deploy if one.id == "geocache.W081"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECURE_PROXY_SSL_HEADER", ("HTTP_X_FORWARDED_PROTO", "https")),
        ("USE_X_FORWARDED_HOST", True),
        ("USE_X_FORWARDED_PORT", True),
    ],
)
def test_check_proxy_is_trusted__proxy_in_the_settings_has_to_be_named(
    settings: Any, name: str, value: Any
) -> None:
    assert "geocache.W020" not in ids(deploy=True)
    setattr(settings, name, value)
    assert "geocache.W020" in ids(deploy=True)
    assert "geocache.W020" not in ids()
    named = {
        "TRUSTED_PROXIES": ["10.0.0.0/8"],
        "VISITOR_ADDRESS": "tests.support.visitors.told",
    }
    before = settings.GEOCACHE
    for name_of_setting, given in named.items():
        settings.GEOCACHE = {**before, name_of_setting: given}
        assert "geocache.W020" not in ids(deploy=True)


# --- bans ----------------------------------------------------------------------------------------

ACTION = {"BACKEND": "tests.support.ban_actions.RecordingAction"}


@pytest.mark.parametrize(
    "given",
    [
        {"BAN_WIDEST_IPV4": 33},
        {"BAN_WIDEST_IPV6": 19.5},
        {"BAN_ALLOW_WIDE": ["all"]},
    ],
)
def test_check_bans__widths_that_make_no_sense(settings: Any, given: dict[str, Any]) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, **given}
    assert ids() == {"geocache.E013"}


def test_check_own_addresses__what_cannot_be_read_is_said(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver here\n")
    monkeypatch.setattr(own_addresses, "RESOLVERS", [tmp_path / "resolv.conf"])
    assert ids() == set()
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": ACTION}
    assert ids() == {"geocache.W043"}


def test_check_proxy_is_never_banned__has_to_be_named_where_lists_ban(settings: Any) -> None:
    settings.USE_X_FORWARDED_HOST = True
    assert ids() == set()
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": ACTION}
    assert ids() == {"geocache.W044"}
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": ["unix"]}
    assert ids() == set()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"NEVER_BAN": ["0.0.0.0/1", "128.0.0.0/1"]}, {"geocache.W045"}),
        ({"TRUSTED_PROXIES": ["::/0"]}, {"geocache.W045"}),
        ({"TRUSTED_PROXIES": ["0.0.0.0/1"]}, set()),
        # Another check says so.
        ({"NEVER_BAN": ["my office"]}, {"geocache.E013"}),
    ],
)
def test_check_something_can_be_banned__settings_that_protect_everything(
    settings: Any, given: dict[str, Any], said: set[str]
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": ACTION, **given}
    assert ids() == said


GEO = "geocache.middleware.GeoMiddleware"
TIME_ZONE = "geocache.middleware.TimeZoneMiddleware"
PAGE_CACHE = "django.middleware.cache.UpdateCacheMiddleware"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        ([GEO], ""),
        ([GEO, TIME_ZONE, PAGE_CACHE], ""),
        ([TIME_ZONE], "without GeoMiddleware"),
        ([TIME_ZONE, GEO], "before GeoMiddleware"),
        ([PAGE_CACHE, GEO, TIME_ZONE], "after UpdateCacheMiddleware"),
    ],
)
def test_check_time_zone_middleware__its_place(settings: Any, names: list[str], said: str) -> None:
    settings.MIDDLEWARE = [*names, *settings.MIDDLEWARE]
    found = [one for one in checks.run_checks() if one.id == "geocache.W066"]
    assert [said in one.msg for one in found] == [True] * bool(said)


@pytest.mark.parametrize(
    ("names", "is_wrong"),
    [(["RETENTION_DAYS"], False), (["*"], False), (["RETENTION_DAY"], True), ([5], True)],
    ids=str,
)
def test_locked_settings__have_to_be_names_of_settings(settings, names, is_wrong):
    settings.GEOCACHE = {**settings.GEOCACHE, "LOCKED_SETTINGS": names}
    assert ("geocache.E070" in ids()) is is_wrong


# --- several caches ----------------------------------------------------------------------------


def use_groups(settings: Any, own: str, *aliases: Any, **entries: dict[str, Any]) -> None:
    redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache"}
    given = {alias: {**redis, **entry} for alias, entry in entries.items()}
    settings.CACHES = {**settings.CACHES, **given}
    settings.GEOCACHE = {**settings.GEOCACHE, "CACHE_ALIAS": own, "CACHE_ALIASES": list(aliases)}


A = {"LOCATION": "redis://127.0.0.1:1/0"}
B = {"LOCATION": "redis://127.0.0.1:1/1"}


@pytest.mark.parametrize(
    ("own", "aliases", "entries", "expected"),
    [
        ("geocache", [], {}, set()),
        ("a", ["a", "b"], {"a": A, "b": B}, set()),
        # Its own may be the embedded one.
        ("geocache", ["geocache", "a"], {"a": A}, set()),
        ("a", ["a", "gone"], {"a": A}, {"geocache.E090"}),
        ("a", ["a", 5], {"a": A}, {"geocache.E090"}),
        ("a", ["b"], {"a": A, "b": B}, {"geocache.W090"}),
        ("a", ["a", "b"], {"a": A, "b": A}, {"geocache.E091"}),
        ("a", ["a", "b"], {"a": A, "b": {**A, "KEY_PREFIX": "b"}}, set()),
        (
            "a",
            ["a", "b"],
            {"a": A, "b": {"LOCATION": [A["LOCATION"], "redis://r"]}},
            {"geocache.E091"},
        ),
        ("a", ["b"], {"a": A, "b": A}, {"geocache.E091", "geocache.W090"}),
    ],
)
def test_check_cache_aliases(
    settings: Any, own: str, aliases: list[Any], entries: dict[str, Any], expected: set[str]
) -> None:
    use_groups(settings, own, *aliases, **entries)
    assert ids() & {"geocache.E090", "geocache.E091", "geocache.W090"} == expected


def test_check_journal__refuses_a_named_cache_that_cannot_hold_one(settings: Any) -> None:
    settings.CACHES = {**settings.CACHES, "local": LOCMEM}
    use_groups(settings, "a", "a", "local", a=A)
    for deploys in (False, True):
        found = checks.run_checks(include_deployment_checks=deploys)
        [message] = [one for one in found if one.id in ("geocache.E001", "geocache.E093")]
        assert message.msg.startswith("local: LocMemCache cannot hold geocache's journal: ")


def test_check_journal_in_production__of_each_cache_with_its_alias(settings: Any) -> None:
    use_groups(settings, "a", "a", "b", a=A, b=B)
    found = checks.run_checks(include_deployment_checks=True)
    said = [one.msg for one in found if one.id == "geocache.W007"]
    assert [one.partition(":")[0] for one in said] == ["a", "b"]


def test_check_names__alias_of_a_group_that_no_column_takes(settings: Any) -> None:
    name = "b" * 94
    use_groups(settings, "a", "a", name, a=A, **{name: B})
    [message] = [one for one in checks.run_checks() if one.id == "geocache.E016"]
    assert message.msg.startswith("CACHE_ALIASES is longer")
