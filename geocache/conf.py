"""Effective settings, read when they are used; the only reader of ``django.conf``.

A project overrides any of ``DEFAULTS`` with one dict in its settings::

    GEOCACHE = {"DATABASES": ["/srv/GeoLite2-City.mmdb"], "MEMORY_TTL_SECONDS": 10}

What people change in the admin counts before it; ``geocache.runtime_settings`` brings that here.
"""

import os
from collections.abc import Callable, Collection, Mapping
from functools import cache
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import Any, Final, Literal

from django.conf import Settings, UserSettingsHolder, settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from geocache import under_test
from geocache.log import get_logger
from geocache.setting_bounds import BOUNDS, LOG_LEVELS
from geocache.text import first_line

log = get_logger(__name__)

# Where the value of a setting comes from; a later one counts before those to its left.
Source = Literal["default", "settings file", "environment", "admin"]
# What is told which settings have changed while the process runs.
Receiver = Callable[[frozenset[str]], object]

DAY_SECONDS: Final = 86_400

DEFAULTS: Final[dict[str, Any]] = {
    # What resolves an address: a dotted path and the keyword arguments of its class.
    "PROVIDER": {"BACKEND": "geocache.providers.mmdb.MmdbProvider", "OPTIONS": {}},
    # Paths of mmdb files, merged into one answer; the first that knows a field gives it.
    # Empty: VAR_DIR/databases/*.mmdb, else the GeoLite2 City of 2019 that a package carries.
    "DATABASES": [],
    # What a file or service is, by the name of the file or its type, where that does not say it: a
    # name such as "DB-IP City Lite", or a dict with it and "credit", "licence", "url",
    # "max_age_days".
    "SOURCES": {},
    # Whether rows, history and replaced files go that their licence does not allow to be kept: of
    # GeoLite 30 days after their build. False: they stay, and that is yours to answer for.
    "LICENCE_CLEANUP": True,
    # Alias in CACHES for hot entries and the journal. Not in CACHES: an embedded cache in VAR_DIR.
    "CACHE_ALIAS": "geocache",
    # Aliases in CACHES of all groups of hosts that fill this table, each with a cache of its own.
    # Where the scheduler runs, and where addresses are deleted. CACHE_ALIAS is always among them.
    "CACHE_ALIASES": [],
    # Folder for all that the embedded default writes. None: BASE_DIR/var.
    "VAR_DIR": None,
    # How long a hot entry lives, in seconds: an answer, and the answer "not found".
    "TTL_SECONDS": 30 * DAY_SECONDS,
    "NOT_FOUND_TTL_SECONDS": 1 * DAY_SECONDS,
    # How old a row may be to stand in for a metered provider's answer, in seconds.
    "ROW_TTL_SECONDS": 90 * DAY_SECONDS,
    # The memory of one process: number of answers, and seconds until one is asked for again.
    "MEMORY_SIZE": 100_000,
    "MEMORY_TTL_SECONDS": 50,
    # Threads of a process, each with a connection to the database at most, that asynchronous
    # look-ups have for what blocks.
    "ASYNC_THREADS": 8,
    # How many queries to one web service an event loop may have under way at once.
    "ASYNC_QUERIES": 256,
    # The flush job: seconds between runs, and seconds that one run may take.
    "FLUSH_INTERVAL_SECONDS": 60,
    "FLUSH_TIME_LIMIT_SECONDS": 60,
    # Dirty answers beyond which callers write through to the table.
    "BACKLOG_LIMIT": 1_000_000,
    # Days that runs of the flush and of the scheduler's jobs are kept.
    "HISTORY_DAYS": 30,
    # True: the look-up page and the API are open to everybody. False: to users with the permission
    # geocache.view_geocache.
    "PUBLIC_LOOKUP": False,
    # The project's template that the pages stand in, with the blocks "title", "extra_head" and
    # "content". None: a frame of their own.
    "BASE_TEMPLATE": None,
    # Whose request it is: the dotted path of a callable that takes the request and returns the
    # visitor's address as text, or None. None: told by the connection and the next two settings.
    "VISITOR_ADDRESS": None,
    # Networks and addresses of proxies that are believed about visitors; "unix": one that asks
    # through a Unix socket. Empty: a visitor's address is that of the connection.
    "TRUSTED_PROXIES": [],
    # The header that these proxies name the visitor in, also "Forwarded", "X-Real-IP" or
    # "CF-Connecting-IP".
    "CLIENT_IP_HEADER": "X-Forwarded-For",
    # Whose headers tell where a visitor is: "cloudflare", "cloudfront", "vercel", "fastly" or
    # "appengine", with "-country" at its end for the country alone; or a dict of headers by field.
    # Read of TRUSTED_PROXIES only. Empty: none.
    "EDGE_HEADERS": "",
    # Which of TRUSTED_PROXIES are those of that network: these headers count for visitors who came
    # through one of them. Empty: all of TRUSTED_PROXIES.
    "EDGE_PROXIES": [],
    # "merge": the provider answers, and headers fill what it does not know. "only": no provider is
    # asked for visitors, and nothing of them is remembered.
    "EDGE_MODE": "merge",
    # Who reads metrics, and the details of the health pages, beside users with the permission
    # geocache.view_geocache: programs that send "Authorization: Bearer <this text>"; empty: none.
    "METRICS_TOKEN": "",
    # And programs that ask from one of these networks and addresses.
    "METRICS_ADDRESSES": [],
    # How many addresses may be looked up on the page and by the API together, of each limit
    # "<count>/<number> <second, minute, hour or day>"; several with ";" in between. None: any.
    # One user who may see addresses:
    "LOOKUP_RATE": "60000/minute",
    # One visitor, that is anyone else from one IPv4 address or one IPv6 /64:
    "PUBLIC_LOOKUP_RATE": "120/minute; 2000/day",
    # All visitors together, which bounds the rows that strangers make:
    "PUBLIC_TOTAL_RATE": "20000/day",
    # All visitors together, of queries that a paid provider would be asked:
    "PUBLIC_QUERY_RATE": "100/day",
    # How many queries a day a paid provider may be asked, by its name; over its queries_per_day.
    "DAILY_QUOTAS": {},
    # What update_geo fetches into VAR_DIR/databases: these URLs; none: these editions of MaxMind,
    # for whom an account is set; else the free ones of DB-IP.
    "UPDATE_URLS": [],
    "MAXMIND_ACCOUNT_ID": "",
    "MAXMIND_LICENSE_KEY": "",
    "MAXMIND_EDITIONS": ["GeoLite2-City", "GeoLite2-ASN"],
    # Domains that a download may be redirected to, beside its own host. MaxMind's is the default.
    "UPDATE_REDIRECT_HOSTS": ["r2.cloudflarestorage.com"],
    # Hosts, with what is below them, and networks that a redirect of a download of a database or a
    # list may lead to although they are inside this network, as "198.18.0.0/15" of some proxies.
    "DOWNLOAD_PRIVATE_HOSTS": [],
    # Days until the job asks for a newer database; 0: there is no such job.
    "UPDATE_DAYS": 7,
    # Seconds that one update may take, with all its downloads.
    "UPDATE_TIME_LIMIT_SECONDS": 1800,
    # Seconds that one run of the job may take that resolves old rows again; 0: there is none.
    "REFRESH_TIME_LIMIT_SECONDS": 600,
    # Days after which prune_geo and a daily job remove what nobody has asked for; 0: never.
    "RETENTION_DAYS": 0,
    # Lists that the scheduler imports: their names, and from where, a path or an https:// URL.
    "IMPORT_SOURCES": {},
    # How a list is read where that cannot be told from its content: by its name a dict with one or
    # more of "format", "column", "score_column", "set" (texts) and "allow_empty" (True or False).
    "IMPORT_OPTIONS": {},
    # Hosts that lists may be fetched from, beside those of IMPORT_SOURCES.
    "IMPORT_HOSTS": [],
    # Hours between two looks at a list.
    "IMPORT_HOURS": 6,
    # Seconds that one list may take to be fetched, and again to be read; bytes that it may have.
    "IMPORT_TIME_LIMIT_SECONDS": 300,
    "IMPORT_MAX_BYTES": 256 * 2**20,
    # What bans the entries of lists: a dotted path and the keyword arguments of its class, as
    # {"BACKEND": "geocache.bans.fail2ban.Fail2banAction", "OPTIONS": {"jail": "geocache"}}.
    # None: nothing is banned.
    "BAN_ACTION": None,
    # False: nothing is banned. The next run of the job ends the bans that are in force, and they
    # begin again when this is True.
    "BANS_ENABLED": True,
    # Addresses, networks and ranges that are never banned, nor is what overlaps them. The private
    # and other special ones never are, nor TRUSTED_PROXIES and what this machine is reached by.
    "NEVER_BAN": [],
    # The shortest prefix, in bits, of a network that may be banned; what is wider is banned only
    # when it is one of these networks, or inside one.
    "BAN_WIDEST_IPV4": 8,
    "BAN_WIDEST_IPV6": 19,
    "BAN_ALLOW_WIDE": [],
    # The least score, by the name of a list, with which an entry is banned because of that list;
    # an entry without a score is not.
    "BAN_MIN_SCORES": {},
    # The level of the logger "geocache", from "DEBUG" to "CRITICAL". None: as the project's LOGGING
    # says.
    "LOG_LEVEL": None,
    # Settings that the admin may not change, by their names; "*": none of them.
    "LOCKED_SETTINGS": [],
    # By the name of a setting, the environment variable that gives it: only to show where a value
    # comes from.
    "ENVIRONMENT_VARIABLES": {},
}
# In LOCKED_SETTINGS it stands for all names.
ALL_SETTINGS: Final = "*"

# What a setting has to be, in words and as types, where its default does not say it all.
OPTIONAL: Final[dict[str, tuple[str, tuple[type, ...]]]] = {
    "VAR_DIR": ("a path, or None", (str, PathLike, NoneType)),
    "BAN_ACTION": ("a dict, or None", (dict, NoneType)),
    "BASE_TEMPLATE": ("the name of a template, or None", (str, NoneType)),
    "VISITOR_ADDRESS": ("a dotted path, or None", (str, NoneType)),
    "EDGE_HEADERS": ("a text, or a dict", (str, dict)),
} | {name: ("a text, or None", (str, NoneType)) for name in DEFAULTS if name.endswith("_RATE")}


# What the admin has changed; replaced as a whole and never changed.
_overrides: Mapping[str, Any] = {}
# The effective settings, or None until they are asked for.
_held: dict[str, Any] | None = None
receivers: Final[list[Receiver]] = []


def get(name: str) -> Any:
    """Return the setting ``name`` as it counts now.

    Raises ``ImproperlyConfigured`` when ``GEOCACHE`` is not a dict, or holds a name that does not
    exist.
    """
    return _effective()[name]


def _effective() -> dict[str, Any]:
    global _held  # noqa: PLW0603 - functools.cache could keep what another thread has replaced
    held = _held
    while held is None:
        overrides = _overrides
        _held = held = _below() | _unlocked(overrides)
        if overrides is not _overrides:
            # Replaced by another thread meanwhile.
            held = None
    return held


@cache
def _below() -> dict[str, Any]:
    """Return what counts without the admin."""
    given = getattr(settings, "GEOCACHE", {})
    if not isinstance(given, dict):
        raise ImproperlyConfigured(f"GEOCACHE is {given!r}; it has to be a dict.")
    if unknown := sorted(str(name) for name in given.keys() - DEFAULTS.keys()):
        raise ImproperlyConfigured(
            f"GEOCACHE has no setting {', '.join(unknown)}. Known: {', '.join(sorted(DEFAULTS))}."
        )
    return DEFAULTS | given


def _unlocked(overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in overrides.items() if name in DEFAULTS and not is_locked(name)
    }


def override(values: Mapping[str, Any]) -> None:
    """Have ``values`` count before the settings file in this process, instead of those before.

    Receivers are told what has changed after the switch. Those of locked names have no effect.
    """
    global _overrides, _held  # noqa: PLW0603 - as above
    before = _effective_or_nothing()
    _overrides = dict(values)
    _held = None
    after = _effective_or_nothing()
    changed = frozenset(name for name in after if name in before and before[name] != after[name])
    if changed:
        _tell(changed)


def overridden() -> dict[str, Any]:
    """Return what counts before the settings file now; locked names included, without effect."""
    return dict(_overrides)


def on_change(function: Receiver) -> None:
    """Have ``function`` told the names of settings that change while this process runs.

    It is called once for each change of one or more, in the thread that has noticed it.
    """
    receivers.append(function)


def _tell(changed: frozenset[str]) -> None:
    for receiver in receivers.copy():
        try:
            receiver(changed)
        except Exception as error:  # noqa: BLE001 - the others must be told, too
            name = getattr(receiver, "__qualname__", repr(receiver))
            log.error("geo_setting_receiver_failed", receiver=name, error=first_line(error))


def _effective_or_nothing() -> dict[str, Any]:
    try:
        return _effective()
    except ImproperlyConfigured:
        # Each use says so, and ``check``.
        return {}


def peek(name: str) -> Any:
    """Return a setting of the file as it is now, at the start of a process, and keep nothing.

    What a script assigns after ``django.setup()`` has to count, too.
    """
    given = getattr(settings, "GEOCACHE", {})
    return given.get(name, DEFAULTS[name]) if isinstance(given, dict) else DEFAULTS[name]


def value_below(name: str) -> Any:
    """Return what would count if the admin had not changed it."""
    return _below()[name]


def is_locked(name: str) -> bool:
    """Tell whether the settings file forbids to change it while the process runs."""
    locked = _below()["LOCKED_SETTINGS"]
    # Of another kind it is an error that ``check`` says.
    return isinstance(locked, Collection) and (name in locked or ALL_SETTINGS in locked)


def source(name: str) -> Source:
    """Return where the value comes from that counts now."""
    if name in _unlocked(_overrides):
        return "admin"
    variable = value_below("ENVIRONMENT_VARIABLES").get(name)
    if variable and os.environ.get(variable):
        return "environment"
    if name not in getattr(settings, "GEOCACHE", {}):
        return "default"
    # The settings file passes on its variable, which is not set.
    return "default" if variable and value_below(name) == DEFAULTS[name] else "settings file"


def problems() -> list[str]:
    """Return what cannot be used of ``GEOCACHE``, one line each, or an empty list."""
    try:
        given = _below()
    except ImproperlyConfigured as error:
        return [str(error)]
    found = ((name, value, kind_problem(name, value)) for name, value in given.items())
    return [f'GEOCACHE["{name}"] is {value!r}; {said}.' for name, value, said in found if said]


def kind_problem(name: str, value: object) -> str:
    """Return "it has to be a list", or what else a setting is, unless ``value`` is of its kind."""
    words, is_right = _judged(name, value)
    return "" if is_right else f"it has to be {words}"


def _judged(name: str, value: object) -> tuple[str, bool]:
    """Return what the setting ``name`` has to be, and whether ``value`` is that."""
    if bounds := BOUNDS.get(name):
        return bounds.words, bounds.takes(value)
    if name == "LOG_LEVEL":
        return f"None, or one of {', '.join(LOG_LEVELS)}", value in (None, *LOG_LEVELS)
    words, types = OPTIONAL.get(name) or _kind_of(DEFAULTS[name])
    return words, isinstance(value, types) and not (int in types and isinstance(value, bool))


def _kind_of(default: object) -> tuple[str, tuple[type, ...]]:
    match default:
        case bool():
            return "True or False", (bool,)
        case int():
            return "a number", (int, float)
        case list():
            return "a list", (list, tuple, set, frozenset)
        case dict():
            return "a dict", (dict,)
    return "a text", (str,)


def var_dir() -> Path:
    """Return the folder for everything that the embedded default writes.

    In a run of tests it is a folder of its own, unless a test itself names one.
    """
    return _var_dir(is_under_test=under_test.is_this_process())


def site_var_dir() -> Path:
    """Return the folder that the settings name. A run of tests reads it, and never writes to it."""
    return _var_dir(is_under_test=False)


@cache
def _var_dir(*, is_under_test: bool) -> Path:
    _below()  # says what is wrong with GEOCACHE
    named = _named_var_dir(settings)
    is_of_site = is_under_test and named == _named_var_dir(settings_of_site())
    return under_test.folder() if is_of_site else named


def _named_var_dir(source: Any) -> Path:
    configured = getattr(source, "GEOCACHE", {}).get("VAR_DIR", DEFAULTS["VAR_DIR"])
    return Path(configured or Path(getattr(source, "BASE_DIR", Path.cwd())) / "var")


def is_debug() -> bool:
    """Tell whether the project runs for its developer alone."""
    return bool(settings.DEBUG)


def allowed_hosts() -> list[str]:
    """Return the names and addresses that the project is reached by."""
    return list(settings.ALLOWED_HOSTS)


def is_behind_proxy() -> bool:
    """Tell whether the project reads what a proxy writes into a request."""
    names = ("SECURE_PROXY_SSL_HEADER", "USE_X_FORWARDED_HOST", "USE_X_FORWARDED_PORT")
    return any(getattr(settings, name) for name in names)


def uses_time_zones() -> bool:
    """Tell whether the project's moments have a time zone, which those of answers have."""
    return bool(settings.USE_TZ)


def time_zone() -> str:
    """Return the name of the project's time zone."""
    return settings.TIME_ZONE


def log_in_url() -> str:
    """Return where the project has users log in: a path, a URL or the name of a view."""
    return str(settings.LOGIN_URL)


def session_cookie_name() -> str:
    """Return the name of the cookie that holds the session of a user."""
    return settings.SESSION_COOKIE_NAME


def csrf_header() -> str:
    """Return the name of the header in which a script sends the CSRF token."""
    return settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-").title()


def user_model() -> str:
    """Return the name of the project's model of users."""
    return settings.AUTH_USER_MODEL


def middleware() -> list[str]:
    """Return the dotted paths of the project's middleware, outermost first."""
    return list(settings.MIDDLEWARE)


def caches() -> dict[str, dict[str, Any]]:
    """Return the project's ``CACHES``."""
    return settings.CACHES


def names_cache(alias: str | None = None) -> bool:
    """Tell whether ``CACHES`` names ``alias`` (``CACHE_ALIAS``); in a run of tests, a test."""
    alias = alias or get("CACHE_ALIAS")
    named = caches().get(alias)
    if named is None or not under_test.is_this_process():
        return named is not None
    return bool(named != settings_of_site().CACHES.get(alias))


def settings_of_site(lazy: Any = settings) -> Any:
    """Return the settings without what a test has put over them."""
    found = getattr(lazy, "_wrapped")  # noqa: B009 - Django has no public name for it
    # Settings without a module, as of ``settings.configure``, are kept in such a holder, too.
    while isinstance(getattr(found, "default_settings", None), (Settings, UserSettingsHolder)):
        found = found.default_settings
    return found


def _forget(*, setting: str, **_: object) -> None:
    global _held  # noqa: PLW0603 - as above
    if setting in ("GEOCACHE", "BASE_DIR"):
        _held = None
        _below.cache_clear()
        _var_dir.cache_clear()


setting_changed.connect(_forget, dispatch_uid="geocache.conf")
