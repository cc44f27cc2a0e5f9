"""System checks: a wrong set-up is found by ``manage.py check``, with an id and what to do.

Those of the databases are in ``geocache.models.checks``. Each process loads this module when it
starts, so what only one check needs is imported by that check.
"""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial, wraps
from threading import Thread
from typing import Any, Final

from django.apps import apps
from django.core.checks import CheckMessage, Error, Info, Tags, register
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured
from django.db import router

from geocache import conf, extras
from geocache.cache import backends
from geocache.cache.embedded import EmbeddedCache
from geocache.cache.guard import guarded_selected
from geocache.exceptions import (
    BanError,
    CacheUnavailable,
    CacheUnusable,
    JournalUnavailable,
    MissingExtra,
    ProviderError,
)
from geocache.models import JournalHead
from geocache.models.connection import DATABASE_ERRORS, database_id, writing_alias
from geocache.models.scheduler import SCHEDULER_APP
from geocache.mounts import API, PAGES, is_included
from geocache.providers import factory
from geocache.providers.mmdb_verification import writing_nothing

# None of volatile-* evicts a record, which has no time to live; but a seal has one. Where it goes
# before its minute is over, a slow writer can append behind the head, where no flush looks again.
# volatile-ttl takes seals first, volatile-random any of them, volatile-lfu those that nobody reads,
# as nobody does; volatile-lru a young one only where nearly everything is as young.
KEEPING_POLICIES: Final = ("noeviction", "volatile-lru")
# The cache that sessions, cached pages and the host's own code use, unless told otherwise.
HOST_ALIAS: Final = "default"
# How long a check waits for the cache: it is made before each command.
CACHE_SECONDS: Final = 2.0
# What a token has at least that cannot be guessed.
TOKEN_LENGTH: Final = 16
# Without these the pages show less.
PAGE_PACKAGES: Final = ("django_countries", "pygal_maps_world", "tzdata")
GEO: Final = "geocache.middleware.GeoMiddleware"
TIME_ZONE: Final = "geocache.middleware.TimeZoneMiddleware"
PAGE_CACHE: Final = "django.middleware.cache.UpdateCacheMiddleware"


Check = Callable[..., list[CheckMessage]]


def check_of_settings(*tags: str, deploy: bool = False) -> Callable[[Check], Check]:
    """Register a check that reads ``GEOCACHE``: silent where ``check_settings`` refuses that.

    No check writes a file: it may run as another user, or where the disk is read-only.
    """

    def decorate(check: Check) -> Check:
        @wraps(check)
        def checked(**options: Any) -> list[CheckMessage]:
            if conf.problems():
                return []
            with writing_nothing():
                return check(**options)

        register(checked, *tags, deploy=deploy)
        return checked

    return decorate


@register()
def check_settings(**_: Any) -> list[CheckMessage]:
    """Check that ``GEOCACHE`` has only names that exist, each with a value of its kind."""
    hint = "See DEFAULTS in geocache/conf.py."
    return [Error(problem, hint=hint, id="geocache.E003") for problem in conf.problems()]


@check_of_settings(Tags.caches)
def check_journal(**_: Any) -> list[CheckMessage]:
    """Check that the cache can hold the journal. Only a warning: answers are written through.

    An error on a node of a Redis Cluster, which has only some of the keys.

    Before each command, so it makes no file and says nothing of a server that is down.
    """
    try:
        problem = _journal_problem()
    except CacheUnusable as error:
        hint = f"See {error.page}."
        return [Caution(f"The cache cannot be opened: {error}", hint=hint, id="geocache.W001")]
    except CacheUnavailable as error:
        if not isinstance(error.__cause__, MissingExtra):
            return []
        said = f"{error}. Until then every new answer is written to the database at once."
        return [Caution(f"The cache cannot be used: {said}", id="geocache.W063")]
    if not problem:
        return []
    if problem.endswith(backends.CLUSTER_NODE):
        hint = (
            "Use a Redis outside a cluster, with replicas and Sentinel for high availability, "
            "or several with CACHE_ALIASES where one is not enough: see docs/scale.md."
        )
        return [Error(f"{problem}.", hint=hint, id="geocache.E092")]
    return [
        Caution(
            f"{problem}. Every new answer is written to the database at once.",
            hint=_own_cache(),
            id="geocache.W021",
        )
    ]


@check_of_settings(Tags.caches)
def check_other_journals(**_: Any) -> list[CheckMessage]:
    """Check that each cache that only ``CACHE_ALIASES`` names can hold a journal.

    An error, as a flush would fail in part, and nothing could be forgotten.
    """
    found: list[CheckMessage] = []
    for alias in backends.journal_aliases()[1:]:
        with backends.using(alias), suppress(CacheUnavailable, CacheUnusable):
            if problem := _journal_problem():
                hint = "Leave it out of CACHE_ALIASES, or give it a cache that can."
                found.append(Error(f"{alias}: {problem}.", hint=hint, id="geocache.E093"))
    return found


@check_of_settings(Tags.caches, deploy=True)
def check_journal_in_production(**_: Any) -> list[CheckMessage]:
    """Check that each cache is there, can hold its journal, and keeps records and seals."""

    def judge_one() -> list[CheckMessage]:
        try:
            problem = _journal_problem()
        except CacheUnusable:
            # The check before each command has said so.
            return []
        except CacheUnavailable as error:
            hint = f"See {error.page}."
            return [Caution(f"The cache cannot be reached: {error}", hint=hint, id="geocache.W007")]
        if problem:
            # Of the others ``check_other_journals`` says so.
            is_own = backends.selected_alias() == conf.get("CACHE_ALIAS")
            unfit = Error(f"{problem}.", hint=_own_cache(), id="geocache.E001")
            return [unfit] if is_own else []
        memory = backends.redis_memory(backends.selected())
        if memory is None or memory.policy in KEEPING_POLICIES:
            return []
        return [
            Caution(
                f"Redis has maxmemory-policy {memory.policy}: when memory is short it evicts "
                "answers that are not flushed yet, or the seals that keep them from being passed "
                "over.",
                hint="Set maxmemory-policy to noeviction or volatile-lru.",
                id="geocache.W003",
            )
        ]

    aliases, found = backends.journal_aliases(), list[CheckMessage]()
    for alias in aliases:
        with backends.using(alias):
            messages = judge_one()
        for message in messages if len(aliases) > 1 else ():
            message.msg = f"{alias}: {message.msg}"
        found += messages
    return found


@check_of_settings(Tags.caches)
def check_location(**_: Any) -> list[CheckMessage]:
    """Check that no password cuts the URL of a cache, which backends split at "," and ";"."""
    location = conf.caches().get(conf.get("CACHE_ALIAS"), {}).get("LOCATION")
    parts = re.split("[,;]", location) if isinstance(location, str) and "://" in location else []
    if all("://" in part for part in parts):
        return []
    return [
        Error(
            "The LOCATION of geocache's entry of CACHES has a comma or semicolon that does not "
            "separate two URLs.",
            hint="Write it as %2C, or %3B, in a password; or make LOCATION a list of URLs.",
            id="geocache.E044",
        )
    ]


def _journal_problem() -> str:
    """Return why the cache cannot hold the journal, or the empty text.

    Raises ``CacheUnusable`` for an embedded one, and ``CacheUnavailable`` for a server.
    """
    with guarded_selected() as backend:
        if isinstance(backend, EmbeddedCache):
            backend.check()
            return ""
        problem = _in_time(partial(backends.journal_problem, backend, backends.selected_alias()))
    return f"{type(backend).__name__} cannot hold geocache's journal: {problem}" if problem else ""


def _in_time(ask: Callable[[], str]) -> str:
    """Return what ``ask`` returns, or raise ``CacheUnavailable`` when that takes too long.

    In a thread, as a cache may have a time-out of minutes, or none.
    """
    outcome: Future[str] = Future()

    def answer() -> None:
        try:
            outcome.set_result(ask())
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits
            outcome.set_exception(error)

    Thread(target=answer, daemon=True).start()
    try:
        return outcome.result(CACHE_SECONDS)
    except TimeoutError as error:
        if outcome.done():
            raise
        raise CacheUnavailable(f"no answer within {CACHE_SECONDS:g} seconds") from error


@check_of_settings(Tags.caches, deploy=True)
def check_cluster_node(**_: Any) -> list[CheckMessage]:
    """Tell that a journal whose keys are all on one node of a Redis Cluster stays there."""
    try:
        if _journal_problem() or not backends.is_cluster_node(backends.current()):
            return []
    except CacheUnavailable:
        return []
    return [
        Caution(
            "The cache is on one node of a Redis Cluster. Where its client does not follow when "
            "the cluster moves keys to another node, every new answer is then written to the "
            "database at once.",
            hint="Use a Redis outside a cluster, with Sentinel for high availability: see "
            "docs/scale.md.",
            id="geocache.W093",
        )
    ]


@check_of_settings(Tags.caches)
def check_cache_aliases(**_: Any) -> list[CheckMessage]:
    """Check that each journal of ``CACHE_ALIASES`` is in a cache of its own, and is flushed."""
    given, own = list(conf.get("CACHE_ALIASES")), conf.get("CACHE_ALIAS")
    known = conf.caches()
    found: list[CheckMessage] = [
        Error(
            f"CACHE_ALIASES names {alias!r}, which CACHES does not have.",
            hint="Name the entries of CACHES of all groups of hosts.",
            id="geocache.E090",
        )
        for alias in given
        if not isinstance(alias, str) or (alias not in known and alias != own)
    ]
    if found or not given:
        return found
    places: dict[object, str] = {}
    for alias in dict.fromkeys([own, *given]):
        if (other := places.setdefault(_place(known.get(alias, {})), alias)) != alias:
            said = f"CACHE_ALIASES: {other!r} and {alias!r} are the same place: one journal."
            hint = "Give each its own server, database number or KEY_PREFIX, or name one of them."
            found += [Error(said, hint=hint, id="geocache.E091")]
    if own not in given:
        found.append(
            Caution(
                f"CACHE_ALIASES lacks {own!r}, the CACHE_ALIAS of this process: it flushes that "
                "one too, but other hosts with the same list do not.",
                hint="Name it in CACHE_ALIASES, or correct CACHE_ALIAS.",
                id="geocache.W090",
            )
        )
    return found


def _place(entry: dict[str, Any]) -> object:
    """Return what tells the keys of two entries of ``CACHES`` apart."""
    location = entry.get("LOCATION", "")
    # Reads may go to other servers, writes go to the first.
    first = location if isinstance(location, str) else next(iter(location), "")
    name = re.split("[,;]", first)[0] if "://" in first else first
    function = entry.get("KEY_FUNCTION")
    return name, entry.get("KEY_PREFIX", ""), entry.get("VERSION", 1), str(function)


@check_of_settings(Tags.database)
def check_journal_names(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Check that hosts agree about aliases, and that hot entries of all groups can be deleted."""
    if writing_alias() not in (databases or ()):
        return []
    from geocache.journal import identity  # noqa: PLC0415 - for this check alone

    found: list[CheckMessage] = []
    try:
        for alias in backends.journal_aliases():
            with backends.using(alias), suppress(JournalUnavailable):
                if problem := identity.problem():
                    found.append(Caution(f"{alias}: {problem}.", id="geocache.W091"))
        others = ", ".join(identity.unnamed_aliases())
    except DATABASE_ERRORS:
        # Not migrated yet, or away: other checks and commands say so.
        return found
    if others and not found:
        found.append(
            Caution(
                f"The table is also filled from {others}, which CACHE_ALIASES does not name: an "
                "address that is deleted here stays in the hot entries there.",
                hint="Name all groups in CACHE_ALIASES on each host that deletes, or delete the "
                "row of a cache that is gone from geocache_journalhead.",
                id="geocache.W092",
            )
        )
    return found


def _own_cache() -> str:
    """Say how to give geocache a cache entry of its own, which no other part of a site uses."""
    return (
        'Give geocache an entry of its own, CACHES["geocache"] = {"BACKEND": '
        '"django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:6379/1", '
        '"KEY_PREFIX": "geocache", "OPTIONS": {"serializer": '
        '"geocache.cache.backends.TextSerializer"}}, with a database number that nothing else '
        "uses, and leave CACHE_ALIAS out. Without that entry geocache has an embedded cache."
    )


@check_of_settings(Tags.caches)
def check_shared_cache(**_: Any) -> list[CheckMessage]:
    """Check that the cache is geocache's own, and that nothing in it is unpickled."""
    try:
        backend = backends.current()
    except Exception:  # noqa: BLE001 - check_journal says what is wrong with the settings
        return []
    name = type(backend).__name__
    if conf.get("CACHE_ALIAS") == HOST_ALIAS:
        breaks = (
            f" {name} stores text and whole numbers only here, which breaks sessions and all else "
            "that is cached."
            if backends.stores_text_only(backend)
            else ""
        )
        return [
            Caution(
                'CACHE_ALIAS is "default", the cache of the whole site: cache.clear() deletes '
                f"answers that are not flushed yet.{breaks}",
                hint=_own_cache(),
                id="geocache.W022",
            )
        ]
    if backends.does_unpickle(backend):
        return [
            Caution(
                f"{name} unpickles what it reads: a program that can write to it can run code "
                "here.",
                hint='Set OPTIONS={"serializer": "geocache.cache.backends.TextSerializer"} '
                '("SERIALIZER" for django-redis and django-valkey) for an entry of CACHES that '
                f"only geocache uses. {_own_cache()}",
                id="geocache.W002",
            )
        ]
    return []


@check_of_settings()
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


@check_of_settings()
def check_provider(**_: Any) -> list[CheckMessage]:
    """Check that the provider can answer. Only a warning: a flush does not need it."""
    try:
        problems = factory.current().check()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="geocache.E004")]
    except ProviderError as error:
        problems = [str(error)]
    hint = (
        "Correct GEOCACHE_DATABASES, or the provider's settings; until then new addresses are "
        f"answered as unavailable. See {ProviderError.page}."
    )
    return [Caution(problem, hint=hint, id="geocache.W006") for problem in problems]


@check_of_settings()
def check_doubts(**_: Any) -> list[CheckMessage]:
    """Check that the provider answers what its settings mean."""
    try:
        doubts = factory.current().doubts()
    except (ImproperlyConfigured, ProviderError):
        # check_provider has said so.
        return []
    return [Caution(doubt, id="geocache.W048") for doubt in doubts]


@check_of_settings(Tags.security)
def check_trusted_proxies(**_: Any) -> list[CheckMessage]:
    """Check that the trusted proxies are networks: each request of a visitor asks for them."""
    from geocache import client_ip  # noqa: PLC0415 - for this check alone

    try:
        client_ip.networks(tuple(conf.get("TRUSTED_PROXIES")))
    except ImproperlyConfigured as error:
        hint = 'Name each as 192.0.2.1, 10.0.0.0/8, 2001:db8::/32, or "unix" for a Unix socket.'
        return [Error(str(error), hint=hint, id="geocache.E010")]
    return []


@check_of_settings(Tags.security)
def check_client_ip_header(**_: Any) -> list[CheckMessage]:
    """Check that the header of visitors can be read, and that a proxy is believed about it."""
    from geocache import client_ip  # noqa: PLC0415 - for this check alone

    setting = conf.get("CLIENT_IP_HEADER")
    try:
        client_ip.hops_of(setting)
    except ImproperlyConfigured as error:
        hint = 'Write a header as "X-Real-IP".'
        return [Error(str(error), hint=hint, id="geocache.E043")]
    if setting == conf.DEFAULTS["CLIENT_IP_HEADER"]:
        return []
    if conf.get("VISITOR_ADDRESS"):
        reason, hint = "VISITOR_ADDRESS decides alone", "Remove one of the two."
    elif not conf.get("TRUSTED_PROXIES"):
        reason = "TRUSTED_PROXIES is empty"
        hint = 'Name the proxy that sets it in TRUSTED_PROXIES, or "unix" for a Unix socket.'
    else:
        return []
    said = f"CLIENT_IP_HEADER is {setting}, but {reason}: it never counts."
    return [Caution(said, hint=hint, id="geocache.W046")]


@check_of_settings(Tags.security)
def check_edge_headers(**_: Any) -> list[CheckMessage]:
    """Check that headers which tell where a visitor is can be read."""
    from geocache import client_ip  # noqa: PLC0415 - for this check alone
    from geocache.edge import said  # noqa: PLC0415 - for this check alone

    try:
        label, mode = _edge_label(), said.mode()
        client_ip.networks(tuple(conf.get("EDGE_PROXIES")), "EDGE_PROXIES")
        untrusted = said.untrusted_edges() if label else []
    except ImproperlyConfigured as error:
        hint = "See docs/integration.md, Where the edge says a visitor is."
        is_of_others = "TRUSTED_PROXIES" in str(error)
        return [] if is_of_others else [Error(str(error), hint=hint, id="geocache.E094")]
    if not label and mode != said.MERGE:
        text = f"EDGE_MODE is {mode}, but EDGE_HEADERS is empty: it has no effect."
        hint = "Name the network in EDGE_HEADERS, or leave out EDGE_MODE."
    elif untrusted:
        text = f"EDGE_PROXIES names {', '.join(untrusted)}, which TRUSTED_PROXIES does not hold: "
        text += f"{label} from there are not read."
        hint = "Name it in TRUSTED_PROXIES, too."
    else:
        return []
    return [Caution(text, hint=hint, id="geocache.W095")]


@check_of_settings(Tags.security)
def check_edge_trust(**_: Any) -> list[CheckMessage]:
    """Check that visitors cannot write these headers. Where they can, nothing is read."""
    from geocache.edge import said  # noqa: PLC0415 - for this check alone

    try:
        label = _edge_label()
        if label and not conf.get("TRUSTED_PROXIES"):
            reason = "is empty"
        elif label and said.is_everybody_trusted():
            reason = "holds all addresses"
        else:
            return []
    except ImproperlyConfigured:
        # Other checks have said so.
        return []
    return [
        Error(
            f"EDGE_HEADERS is set, but TRUSTED_PROXIES {reason}: any visitor could send {label}, "
            "so that they are not read.",
            hint="Name the network's proxies in TRUSTED_PROXIES, and let nothing else reach the "
            "site; or leave out EDGE_HEADERS.",
            id="geocache.E095",
        )
    ]


@check_of_settings()
def check_edge_middleware(**_: Any) -> list[CheckMessage]:
    """Check that these headers are read at all."""
    try:
        label = _edge_label()
    except ImproperlyConfigured:
        return []
    if not label or GEO in conf.middleware():
        return []
    said = f"EDGE_HEADERS is set, but MIDDLEWARE lacks GeoMiddleware: {label} are not read."
    return [Caution(said, hint=f'Add "{GEO}" to MIDDLEWARE.', id="geocache.W094")]


def _edge_label() -> str:
    """Return what the headers are called, the empty text where none are to be read.

    Raises ``ImproperlyConfigured``.
    """
    from geocache.edge.networks import network_of  # noqa: PLC0415 - for these checks alone

    setting = conf.get("EDGE_HEADERS")
    return network_of(setting).label if setting else ""


@check_of_settings(Tags.security)
def check_visitor_address(**_: Any) -> list[CheckMessage]:
    """Check that the callable which tells whose request it is can be called."""
    from geocache import client_ip  # noqa: PLC0415 - for this check alone

    try:
        if path := conf.get("VISITOR_ADDRESS"):
            client_ip.visitor_address(path)
    except ImproperlyConfigured as error:
        hint = 'Name a function as "mysite.visitors.address", which takes the request; or None.'
        return [Error(str(error), hint=hint, id="geocache.E047")]
    return []


@check_of_settings(Tags.security)
def check_monitoring_access(**_: Any) -> list[CheckMessage]:
    """Check that those who may read the details of the state are networks, or hold a secret."""
    from geocache import monitoring_access  # noqa: PLC0415 - for this check alone

    found: list[CheckMessage] = []
    try:
        monitoring_access.networks(tuple(conf.get("METRICS_ADDRESSES")))
    except ImproperlyConfigured as error:
        hint = "Name each as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32."
        found.append(Error(str(error), hint=hint, id="geocache.E075"))
    if 0 < len(conf.get("METRICS_TOKEN")) < TOKEN_LENGTH:
        said = f"METRICS_TOKEN is shorter than {TOKEN_LENGTH} characters: it can be guessed."
        hint = "Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
        found.append(Caution(said, hint=hint, id="geocache.W075"))
    return found


@check_of_settings(Tags.security, deploy=True)
def check_proxy_is_trusted(**_: Any) -> list[CheckMessage]:
    """Check that a proxy which the settings tell of is trusted: else all visitors are one."""
    is_told = conf.get("VISITOR_ADDRESS") or conf.get("TRUSTED_PROXIES")
    if is_told or not conf.is_behind_proxy():
        return []
    return [
        Caution(
            "The project reads headers of a proxy, but GEOCACHE names no TRUSTED_PROXIES: every "
            "visitor has the proxy's address, and all share one limit of look-ups and logins.",
            hint='Name the proxy\'s network in TRUSTED_PROXIES, or "unix" for a Unix socket.',
            id="geocache.W020",
        )
    ]


@check_of_settings()
def check_rates(**_: Any) -> list[CheckMessage]:
    """Check that the limits of look-ups can be read."""
    from geocache.rate_limit.asker import SETTINGS  # noqa: PLC0415 - for checks of rates alone

    given = [one for one in SETTINGS if conf.get(one) != conf.DEFAULTS[one]]
    # Without the library check_pages says so where they count: on pages and in the API alone.
    if not given or not extras.is_installed("limits"):
        return []
    from geocache.rate_limit import limiter  # noqa: PLC0415 - its library takes 0.1 s to import

    errors: list[CheckMessage] = []
    for setting in given:
        try:
            limiter.limits_of(setting)
        except ImproperlyConfigured as error:
            hint = 'Write it as "120/minute" or "120/minute; 1000/2 hours"; None for no limit.'
            errors.append(Error(str(error), hint=hint, id="geocache.E011"))
    return errors


@check_of_settings()
def check_pages(**_: Any) -> list[CheckMessage]:
    """Check that what the pages need is installed, in a project that has them."""
    absent = extras.missing("pages", "limits", *PAGE_PACKAGES)
    if absent is None or not is_included(PAGES, API):
        return []
    from geocache.rate_limit.asker import SETTINGS  # noqa: PLC0415 - for checks of rates alone

    if not extras.is_installed("limits") and any(map(conf.get, SETTINGS)):
        hint = f"Or, where nothing has to limit look-ups, set {', '.join(SETTINGS)} to None."
        return [Error(f"geocache.urls: {absent}", hint=hint, id="geocache.E060")]
    if not is_included(PAGES):
        return []
    hint = "Until then the pages show no map, or codes instead of the names of countries."
    return [Caution(f"geocache.urls: {absent}", hint=hint, id="geocache.W061")]


@check_of_settings()
def check_downloads(**_: Any) -> list[CheckMessage]:
    """Check that what is to be fetched can be fetched."""
    absent = extras.missing("web", "requests")
    if absent is None:
        return []
    lists = [name for name, place in conf.get("IMPORT_SOURCES").items() if "://" in str(place)]
    wants = {
        f"IMPORT_SOURCES names URLs ({', '.join(lists)})": lists,
        "UPDATE_DAYS wants newer databases": conf.get("UPDATE_DAYS") and not conf.get("DATABASES"),
    }
    hint = "Or name files, and set UPDATE_DAYS to 0."
    return [
        Caution(f"{reason}, but {absent}", hint=hint, id="geocache.W062")
        for reason, is_wanted in wants.items()
        if is_wanted
    ]


@check_of_settings()
def check_retention(**_: Any) -> list[CheckMessage]:
    """Check that the days are a number after which rows are pruned."""
    from geocache.maintenance import prune  # noqa: PLC0415 - for this check alone

    try:
        prune.retention_days()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="0 keeps all rows indefinitely.", id="geocache.E012")]
    return []


@check_of_settings()
def check_daily_quotas(**_: Any) -> list[CheckMessage]:
    """Check that each quota is a number of queries, of a provider that is in use."""
    from geocache.providers import quota  # noqa: PLC0415 - for this check alone

    quotas = conf.get("DAILY_QUOTAS")
    if problem := quota.quota_problem(quotas):
        hint = 'Write it as {"MaxMind": 1000}; 0 asks for nothing.'
        return [Error(problem, hint=hint, id="geocache.E072")]
    try:
        known = [one.name for one in quota.metered_leaves(factory.current())] if quotas else []
    except (ImproperlyConfigured, ProviderError):
        # check_provider has said so.
        return []
    hint = f"Paid providers in use: {', '.join(known) or 'none'}."
    said = "DAILY_QUOTAS names {!r}, which is not a paid provider in use: it never counts."
    return [
        Caution(said.format(name), hint=hint, id="geocache.W073")
        for name in quotas
        if name not in known
    ]


@check_of_settings()
def check_locked_settings(**_: Any) -> list[CheckMessage]:
    """Check that each name of ``LOCKED_SETTINGS`` is one: a slip of the pen would lock nothing."""
    names = {str(name) for name in conf.get("LOCKED_SETTINGS")}
    unknown = sorted(names - conf.DEFAULTS.keys() - {conf.ALL_SETTINGS})
    if not unknown:
        return []
    said = f'GEOCACHE["LOCKED_SETTINGS"] names {", ".join(unknown)}, which is not a setting.'
    hint = 'Use the names of GEOCACHE, as "RETENTION_DAYS", or "*" for all.'
    return [Error(said, hint=hint, id="geocache.E070")]


@check_of_settings(Tags.database)
def check_stored_settings(
    *, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Tell which changes of the admin do not count: names that are gone, or locked, or nonsense."""
    from geocache.runtime_settings import overrides  # noqa: PLC0415 - for this check alone

    if writing_alias() not in (databases or ()):
        return []
    try:
        stored = overrides.stored()
    except DATABASE_ERRORS:
        # Not migrated yet, or away: other checks and commands say so.
        return []
    problems = {name: overrides.change_problem(name, row.value) for name, row in stored.items()}
    hint = "Reset it on the page of settings in the admin, or correct it there."
    return [
        Caution(f"{name} of the admin is ignored: {said}.", hint=hint, id="geocache.W072")
        for name, said in problems.items()
        if said
    ]


@check_of_settings()
def check_names(**_: Any) -> list[CheckMessage]:
    """Check that names that settings give fit the columns that they are stored in."""
    from geocache.blocklists.names import name_problem  # noqa: PLC0415 - for this check alone

    names, alias = conf.get("IMPORT_SOURCES"), conf.get("CACHE_ALIAS")
    problems = [f"IMPORT_SOURCES: {one}" for one in map(name_problem, names) if one]
    longest: Any = JournalHead._meta.get_field("alias").max_length
    # The id of the database follows it there.
    longest -= len(f":{database_id()}")
    given = {"CACHE_ALIAS": [alias], "CACHE_ALIASES": conf.get("CACHE_ALIASES")}
    problems += [
        f"{name} is longer than {longest} letters"
        for name, aliases in given.items()
        if any(len(str(one)) > longest for one in aliases)
    ]
    hint = "Choose a shorter name, of printable letters."
    return [Error(one, hint=hint, id="geocache.E016") for one in problems]


@check_of_settings()
def check_import_options(**_: Any) -> list[CheckMessage]:
    """Check that lists have only options that exist, each with a value of its kind."""
    if not conf.get("IMPORT_OPTIONS"):
        return []
    from geocache.blocklists import import_options  # noqa: PLC0415 - it loads all readers of lists

    hint = "See IMPORT_OPTIONS in docs/blocklists.md."
    return [Error(one, hint=hint, id="geocache.E045") for one in import_options.problems()]


@check_of_settings()
def check_sources(**_: Any) -> list[CheckMessage]:
    """Check that what is said of sources can be read."""
    from geocache.licences import named  # noqa: PLC0415 - for this check alone

    hint = "See SOURCES in docs/licences.md."
    return [Error(one, hint=hint, id="geocache.E080") for one in named.problems()]


@check_of_settings(deploy=True)
def check_sources_are_credited(**_: Any) -> list[CheckMessage]:
    """Check that it is known whose data the databases hold, as its licence may ask to name it."""
    from geocache.licences import named  # noqa: PLC0415 - for this check alone

    try:
        sources = factory.current().sources()
    except (ImproperlyConfigured, ProviderError):
        return []
    return [
        Caution(
            f"{source.path or source}: its publisher is unknown, so no credit is shown.",
            hint="Name it in SOURCES, as DB-IP City Lite, or with its credit: docs/licences.md.",
            id="geocache.W081",
        )
        for source in sources
        if named.is_unknown(source.name)
    ]


@register()
def check_time_zone_middleware(**_: Any) -> list[CheckMessage]:
    """Check that the time zone of visitors is activated where they are known and pages cached."""
    problem = order_problem(conf.middleware())
    if not problem:
        return []
    hint = f'Write "{GEO}", then "{TIME_ZONE}", first in MIDDLEWARE.'
    return [Caution(problem, hint=hint, id="geocache.W066")]


def order_problem(names: Sequence[str]) -> str:
    """Return what is wrong with the place of ``TimeZoneMiddleware``, or the empty text."""
    if TIME_ZONE not in names:
        return ""
    place = names.index(TIME_ZONE)
    if GEO not in names:
        return "MIDDLEWARE has TimeZoneMiddleware without GeoMiddleware: no zone is activated."
    if names.index(GEO) > place:
        return "MIDDLEWARE has TimeZoneMiddleware before GeoMiddleware: no zone is activated."
    if PAGE_CACHE in names[:place]:
        return (
            "MIDDLEWARE has TimeZoneMiddleware after UpdateCacheMiddleware: pages of one time zone "
            "are stored for all."
        )
    return ""


# What follows is no fault, and would be said before every command: on deploy only.


@check_of_settings(deploy=True)
def check_is_scheduled(**_: Any) -> list[CheckMessage]:
    """Tell that without the scheduler's app another scheduler has to run the jobs."""
    if apps.is_installed(SCHEDULER_APP):
        return []
    return [
        Info(
            "django_apscheduler is not installed: another scheduler has to run the jobs.",
            hint='Add "django_apscheduler" to INSTALLED_APPS to use manage.py schedule_geo, or '
            "have cron, a systemd timer or Kubernetes run manage.py run_geo, or use Celery: see "
            "docs/scheduling.md.",
            id="geocache.I002",
        )
    ]


@check_of_settings(deploy=True)
def check_machines(**_: Any) -> list[CheckMessage]:
    """Tell that the embedded cache is of one machine, which a site in production may not be."""
    if conf.is_debug():
        return []
    try:
        backend = backends.current()
    except Exception:  # noqa: BLE001 - check_journal says what is wrong with the settings
        return []
    if not isinstance(backend, EmbeddedCache):
        return []
    return [
        Info(
            f"The cache is the embedded one in {backend.path.parent}: it is of one machine, and "
            "answers that are not flushed yet are lost with its disk.",
            hint="Where the site has several machines, or containers whose disks are not kept: "
            f"use Redis or Valkey. {_own_cache()}",
            id="geocache.I060",
        )
    ]


@check_of_settings(deploy=True)
def check_database_age(**_: Any) -> list[CheckMessage]:
    """Tell that answers come from the old database that this app falls back to."""
    from geocache.databases.advice import advice_for  # noqa: PLC0415 - for this check alone

    try:
        sources = factory.current().sources()
    except (ImproperlyConfigured, ProviderError):
        return []
    return [
        Info(
            f"Answers come from {source}, {source.age_days()} days old, because no other database "
            "is configured.",
            hint=advice_for(source),
            id="geocache.I001",
        )
        for source in sources
        if source.is_fallback
    ]


@check_of_settings()
def check_bans(**_: Any) -> list[CheckMessage]:
    """Check that what bans can be loaded, and what is never banned can be read."""
    from geocache.bans import apply as bans  # noqa: PLC0415 - for checks of bans alone

    try:
        bans.check()
    except BanError as error:
        hint = "See docs/blocklists.md; without BAN_ACTION nothing is banned."
        return [Error(str(error), hint=hint, id="geocache.E013")]
    return []


@check_of_settings()
def check_ban_action(**_: Any) -> list[CheckMessage]:
    """Check that what bans can ban, and end, all that lists hold."""
    from geocache.bans import apply as bans  # noqa: PLC0415 - for checks of bans alone

    try:
        action = bans.current()
    except BanError:
        # Another check has said so.
        return []
    problem = action.problem() if action else ""
    hint = "Use the action in docs/blocklists.md, or ban with GEOCACHE_BAN_NFTABLES_FILE."
    return [Caution(problem, hint=hint, id="geocache.W040")] if problem else []


@check_of_settings(Tags.security)
def check_own_addresses_are_known(**_: Any) -> list[CheckMessage]:
    """Tell what of this machine bans cannot keep clear of, as it cannot be read."""
    if not conf.get("BAN_ACTION"):
        return []
    from geocache.bans.own_addresses import read_own_addresses  # noqa: PLC0415 - for this check alone

    try:
        problems = read_own_addresses().problems
    except BanError:
        # check_bans has said so.
        return []
    return [
        Caution(
            f"Of this machine's addresses, which are never banned, {problem}.",
            hint="Name them in NEVER_BAN.",
            id="geocache.W043",
        )
        for problem in problems
    ]


@check_of_settings(Tags.security)
def check_proxy_is_never_banned(**_: Any) -> list[CheckMessage]:
    """Check that lists cannot have the proxy banned that all visitors come through."""
    is_known = conf.get("TRUSTED_PROXIES") or not conf.is_behind_proxy()
    if is_known or not conf.get("BAN_ACTION"):
        return []
    return [
        Caution(
            "The project reads headers of a proxy, but GEOCACHE names no TRUSTED_PROXIES: a list "
            "can have the proxy banned, and with it every visitor.",
            hint='Name the proxy\'s network in TRUSTED_PROXIES, or "unix" for a Unix socket.',
            id="geocache.W044",
        )
    ]


@check_of_settings(Tags.security)
def check_something_can_be_banned(**_: Any) -> list[CheckMessage]:
    """Tell that settings protect a whole version of IP, so that no ban of it is ever applied."""
    if not conf.get("BAN_ACTION"):
        return []
    from geocache.bans.protection import read_protection  # noqa: PLC0415 - for this check alone

    try:
        found = read_protection().covered_versions()
    except BanError:
        # check_bans has said so.
        return []
    return [
        Caution(
            f"{setting} holds all of IPv{version}: none of its addresses is ever banned.",
            hint="Name only networks of your own.",
            id="geocache.W045",
        )
        for setting, version in found
    ]
