"""System checks: a wrong set-up is found by ``manage.py check``, with an id and what to do.

Those of the databases are in ``geocache.models.checks``.
"""

from typing import Any, Final

from django.apps import apps
from django.core.checks import CheckMessage, Error, Info, Tags, register
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured
from django.db import router

from geocache import client_ip, conf
from geocache.bans import apply as bans
from geocache.blocklists.names import name_problem
from geocache.cache import backends
from geocache.cache.guard import guarded
from geocache.exceptions import BanError, CacheUnavailable, ProviderError
from geocache.maintenance import prune
from geocache.models import JournalHead
from geocache.providers import factory

# None of volatile-* evicts a record, which has no time to live; but a seal has one. Where it goes
# before its minute is over, a slow writer can append behind the head, where no flush looks again.
# volatile-ttl takes seals first, volatile-random any of them, volatile-lfu those that nobody reads,
# as nobody does; volatile-lru a young one only where nearly everything is as young.
KEEPING_POLICIES: Final = ("noeviction", "volatile-lru")
SCHEDULER_APP = "django_apscheduler"


@register(Tags.caches)
def check_journal(**_: Any) -> list[CheckMessage]:
    """Check that the cache can hold the journal: shared, atomic, and never evicting."""
    try:
        with guarded(fails_fast=False):
            backend = backends.opened()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="geocache.E003")]
    except CacheUnavailable as error:
        return [Caution(f"The cache cannot be opened: {error}", id="geocache.W001")]
    name = type(backend).__name__
    if not backends.can_hold_journal(backend):
        return [
            Error(
                f"{name} cannot hold geocache's journal: it is not shared by all processes, not "
                "atomic, or it evicts. Every new answer is written to the database at once.",
                hint=f"Use Redis, Valkey or geocache.cache.embedded.EmbeddedCache for the cache "
                f'"{conf.get("CACHE_ALIAS")}", or leave it out of CACHES.',
                id="geocache.E001",
            )
        ]
    if backends.eviction_policy(backend) not in (None, "none"):
        return [
            Error(
                f"{name} evicts entries, and with them answers that are not flushed yet.",
                hint='Set OPTIONS={"eviction_policy": "none"}, or use '
                "geocache.cache.embedded.EmbeddedCache.",
                id="geocache.E002",
            )
        ]
    if backends.does_unpickle(backend):
        return [
            Caution(
                f"{name} unpickles what it reads: who can write to it can run code here.",
                hint='Set OPTIONS={"serializer": "geocache.cache.backends.TextSerializer"}.',
                id="geocache.W002",
            )
        ]
    return []


@register(Tags.caches, deploy=True)
def check_redis_policy(**_: Any) -> list[CheckMessage]:
    """Check that Redis keeps records and seals; on deploy only, as it has to ask."""
    policy = backends.redis_policy()
    if policy is None or policy in KEEPING_POLICIES:
        return []
    return [
        Caution(
            f"Redis has maxmemory-policy {policy}: when memory is short it evicts answers that "
            "are not flushed yet, or the seals that keep them from being passed over.",
            hint="Set maxmemory-policy to noeviction or volatile-lru.",
            id="geocache.W003",
        )
    ]


@register()
def check_scheduler(**_: Any) -> list[CheckMessage]:
    """Check that the jobs of ``schedule_geo`` are kept in the default database."""
    if not apps.is_installed(SCHEDULER_APP):
        return []
    if router.db_for_write(apps.get_model(SCHEDULER_APP, "DjangoJob")) == "default":
        return []
    return [
        Caution(
            "django_apscheduler works on the default database only.",
            hint="Route the app django_apscheduler to default.",
            id="geocache.W005",
        )
    ]


@register()
def check_provider(**_: Any) -> list[CheckMessage]:
    """Check that the provider can answer. Only a warning: a flush does not need it."""
    try:
        problems = factory.current().check()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="geocache.E003")]
    except ProviderError as error:
        problems = [str(error)]
    hint = (
        "Correct GEOCACHE_DATABASES, or the provider's settings; until then new addresses are "
        "answered as unavailable."
    )
    return [Caution(problem, hint=hint, id="geocache.W006") for problem in problems]


@register(Tags.security)
def check_trusted_proxies(**_: Any) -> list[CheckMessage]:
    """Check that the trusted proxies are networks: each request of a visitor asks for them."""
    try:
        client_ip.networks(tuple(conf.get("TRUSTED_PROXIES")))
    except ImproperlyConfigured as error:
        hint = 'Name each as 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, or "unix" for a Unix socket.'
        return [Error(str(error), hint=hint, id="geocache.E010")]
    return []


@register()
def check_api_rate(**_: Any) -> list[CheckMessage]:
    """Check that the API's limit can be read."""
    from geocache.api import rate_limit  # noqa: PLC0415 - its library takes commands 0.1 s to import

    try:
        rate_limit.rate()
    except ImproperlyConfigured as error:
        hint = 'Write it as "120/minute" or "1000/2 hours"; None for no limit.'
        return [Error(str(error), hint=hint, id="geocache.E011")]
    return []


@register()
def check_retention(**_: Any) -> list[CheckMessage]:
    """Check that the days are a number after which rows are pruned."""
    try:
        prune.retention_days()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="0 keeps all rows for ever.", id="geocache.E012")]
    return []


@register()
def check_names(**_: Any) -> list[CheckMessage]:
    """Check that names that settings give fit the columns that they are stored in."""
    try:
        names, alias = conf.get("IMPORT_SOURCES"), conf.get("CACHE_ALIAS")
    except ImproperlyConfigured:
        # The first check has said so.
        return []
    problems = [f"IMPORT_SOURCES: {one}" for one in map(name_problem, names) if one]
    longest: Any = JournalHead._meta.get_field("alias").max_length
    problems += [f"CACHE_ALIAS is longer than {longest} letters"] if len(alias) > longest else []
    hint = "Choose a shorter name, of printable letters."
    return [Error(one, hint=hint, id="geocache.E016") for one in problems]


# What follows is no fault, and would be said before every command: on deploy only.


@register(deploy=True)
def check_is_scheduled(**_: Any) -> list[CheckMessage]:
    """Tell that nothing flushes by itself without the scheduler's app."""
    if apps.is_installed(SCHEDULER_APP):
        return []
    return [
        Info(
            "django_apscheduler is not installed: only manage.py flush_geo flushes.",
            hint='Add "django_apscheduler" to INSTALLED_APPS to use manage.py schedule_geo.',
            id="geocache.I002",
        )
    ]


@register(deploy=True)
def check_database_age(**_: Any) -> list[CheckMessage]:
    """Tell that answers come from the old database that this app falls back to."""
    try:
        sources = factory.current().sources()
    except (ImproperlyConfigured, ProviderError):
        return []
    return [
        Info(
            f"Answers come from {source}, {source.age_days()} days old, because no other database "
            "is configured.",
            hint="Run manage.py update_geo, or name a newer one in GEOCACHE_DATABASES.",
            id="geocache.I001",
        )
        for source in sources
        if source.is_fallback
    ]


@register()
def check_bans(**_: Any) -> list[CheckMessage]:
    """Check that what bans can be loaded, and what is never banned can be read."""
    try:
        bans.check()
    except BanError as error:
        hint = "See docs/blocklists.md; without BAN_ACTION nothing is banned."
        return [Error(str(error), hint=hint, id="geocache.E013")]
    except ImproperlyConfigured:
        # The first check has said so.
        return []
    return []
