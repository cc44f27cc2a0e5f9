from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import checks
from django.core.cache import BaseCache
from django.core.management import call_command

from geocache.cache import backends
from geocache.cache.embedded import FILE_NAME
from tests.factories import use_dummy_provider

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


def test_check_database_age__tells_on_deploy_that_the_fallback_is_old() -> None:
    assert ids(deploy=True) == {"geocache.I001"}


@pytest.mark.parametrize("cache", [LOCMEM, FILES, DUMMY, TABLE])
def test_check_journal__refuses_a_cache_that_cannot_hold_it(
    settings: Any, cache: dict[str, Any]
) -> None:
    use_cache(settings, cache)

    assert "geocache.E001" in ids()


class EvictingCache(BaseCache):
    """What a diskcache of the project's own shows of its policy."""

    _cache = SimpleNamespace(eviction_policy="least-recently-stored")

    def __init__(self, _: str, params: dict[str, Any]) -> None:
        super().__init__(params)


def test_check_journal__refuses_a_diskcache_that_evicts(settings: Any) -> None:
    use_cache(settings, {"BACKEND": f"{__name__}.EvictingCache"})

    assert "geocache.E002" in ids()


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


def test_check_journal__warns_of_a_redis_that_unpickles(settings: Any) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"
    use_cache(settings, {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1"})

    assert "geocache.W002" in ids()


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
def test_check_redis_policy__warns_of_one_that_evicts_records_or_seals(
    monkeypatch: pytest.MonkeyPatch, policy: str | None, is_warned_of: bool
) -> None:
    monkeypatch.setattr(backends, "redis_policy", lambda: policy)

    assert ("geocache.W003" in ids(deploy=True)) is is_warned_of


def test_redis_policy__is_asked_of_the_real_redis(settings: Any, redis_url: str) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"
    use_cache(settings, {"BACKEND": backend, "LOCATION": redis_url})

    assert backends.redis_policy() in ("noeviction", "volatile-lru", "allkeys-lru")


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


@pytest.mark.parametrize(
    "given",
    [{"PROVIDER": {"BACKEND": "nowhere.Provider"}}, {"DATABASE": ["a misspelt name"]}],
)
def test_checks__a_setting_that_cannot_be_used_is_an_error(
    settings: Any, given: dict[str, Any]
) -> None:
    settings.GEOCACHE = given

    assert "geocache.E003" in ids()


def test_check_trusted_proxies__what_is_no_network_is_an_error(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "TRUSTED_PROXIES": ["10.0.0.0/8", "*"]}

    assert ids() == {"geocache.E010"}


def test_check_api_rate__what_cannot_be_read_is_an_error(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "API_RATE": "often"}

    assert ids() == {"geocache.E011"}


@pytest.mark.parametrize("days", ["30", -1, None])
def test_check_retention__what_is_no_number_of_days_is_an_error(settings: Any, days: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "RETENTION_DAYS": days}

    assert ids() == {"geocache.E012"}


def test_checks__another_provider_has_nothing_to_tell(settings: Any) -> None:
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
        ({"CACHE_ALIAS": "c" * 101}, "CACHE_ALIAS is longer than 100 letters"),
    ],
)
def test_check_names__those_that_no_column_takes(
    settings: Any, given: dict[str, Any], problem: str
) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, **given}
    [message] = [one for one in checks.run_checks() if one.id == "geocache.E016"]
    assert problem in message.msg
