"""What is replaced is what the modules of geocache use."""

import re
from importlib import import_module
from pathlib import Path

import geocache
from geocache import conf
from geocache.cache import backends
from geocache.testing import isolation, override_locations

PACKAGE = Path(geocache.__file__).parent
# They ask where something is reached, and not where an address belongs.
REACHING = {"geocache.client_ip", "geocache.downloads.urls"}
HELD = re.compile(r"^(\w+)(?:: Final)? = (?:LogThrottle|CircuitBreaker)\(", re.MULTILINE)


def sources():
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(("geocache", *path.relative_to(PACKAGE).with_suffix("").parts))
        if not name.startswith(("geocache.addresses", "geocache.testing")):
            yield name, path.read_text()


def test_asking__names_each_module_that_asks_whether_an_address_is_special():
    users = {name for name, text in sources() if re.search(r"import .*\bspecial_reason\b", text)}
    assert users - REACHING == set(isolation.ASKING)


def test_reading__names_each_module_that_takes_a_special_address_by_its_empty_text():
    users = {name for name, text in sources() if re.search(r"import .*\bpublic_text\b", text)}
    assert users == set(isolation.READING)


def test_throttles_and_breakers__are_all_that_modules_have():
    held = {(name, found) for name, text in sources() for found in HELD.findall(text)}
    objects = [getattr(import_module(module), name) for module, name in held]
    assert len(objects) >= 10
    assert {id(one) for one in objects} == {id(one) for one in isolation.throttles_and_breakers()}


def test_isolated__leaves_out_what_the_admin_has_changed():
    conf.override({"TTL_SECONDS": 60})
    with override_locations():
        assert conf.get("TTL_SECONDS") == conf.value_below("TTL_SECONDS")
        conf.override({"TTL_SECONDS": 70})
    assert conf.get("TTL_SECONDS") == 60


def test_isolated__has_one_journal_whatever_the_settings_name(settings):
    locmem = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {**settings.CACHES, "group_b": {"BACKEND": locmem}}
    settings.GEOCACHE = {**settings.GEOCACHE, "CACHE_ALIASES": ["geocache", "group_b"]}
    assert backends.journal_aliases() == ["geocache", "group_b"]
    with override_locations():
        assert backends.journal_aliases() == ["geocache"]
