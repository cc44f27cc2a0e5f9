"""Effective settings, read when they are used; the only reader of ``django.conf``.

A project overrides any of ``DEFAULTS`` with one dict in its settings::

    GEOCACHE = {"DATABASES": ["/srv/GeoLite2-City.mmdb"], "MEMORY_TTL_SECONDS": 10}
"""

from functools import cache
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import Any, Final

from django.conf import Settings, UserSettingsHolder, settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from geocache import under_test

DAY_SECONDS: Final = 86_400

DEFAULTS: Final[dict[str, Any]] = {
    # What resolves an address: a dotted path and the keyword arguments of its class.
    "PROVIDER": {"BACKEND": "geocache.providers.mmdb.MmdbProvider", "OPTIONS": {}},
    # Paths of mmdb files, merged into one answer; the first that knows a field gives it.
    # Empty: VAR_DIR/databases/*.mmdb, else the GeoLite2 City of 2019 that a package carries.
    "DATABASES": [],
    # Alias in CACHES for hot entries and the journal. Not in CACHES: an embedded cache in VAR_DIR.
    "CACHE_ALIAS": "geocache",
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
}

# What a setting has to be, in words and as types, where its default does not say it all.
OPTIONAL: Final[dict[str, tuple[str, tuple[type, ...]]]] = {
    "VAR_DIR": ("a path, or None", (str, PathLike, NoneType)),
    "BAN_ACTION": ("a dict, or None", (dict, NoneType)),
    "BASE_TEMPLATE": ("the name of a template, or None", (str, NoneType)),
    "VISITOR_ADDRESS": ("a dotted path, or None", (str, NoneType)),
} | {name: ("a text, or None", (str, NoneType)) for name in DEFAULTS if name.endswith("_RATE")}


@cache
def _effective() -> dict[str, Any]:
    given = getattr(settings, "GEOCACHE", {})
    if not isinstance(given, dict):
        raise ImproperlyConfigured(f"GEOCACHE is {given!r}; it has to be a dict.")
    if unknown := sorted(str(name) for name in given.keys() - DEFAULTS.keys()):
        raise ImproperlyConfigured(
            f"GEOCACHE has no setting {', '.join(unknown)}. Known: {', '.join(sorted(DEFAULTS))}."
        )
    return DEFAULTS | given


def get(name: str) -> Any:
    """Return the setting ``name`` of ``GEOCACHE``, or its default.

    Raises ``ImproperlyConfigured`` when ``GEOCACHE`` is not a dict, or holds a name that does not
    exist.
    """
    return _effective()[name]


def problems() -> list[str]:
    """Return what cannot be used of ``GEOCACHE``, one line each, or an empty list."""
    try:
        effective = _effective()
    except ImproperlyConfigured as error:
        return [str(error)]
    found = []
    for name, value in effective.items():
        words, types = OPTIONAL.get(name) or _kind_of(DEFAULTS[name])
        if not isinstance(value, types) or (int in types and not _is_number(value)):
            found.append(f'GEOCACHE["{name}"] is {value!r}; it has to be {words}.')
    return found


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and value >= 0


def _kind_of(default: object) -> tuple[str, tuple[type, ...]]:
    match default:
        case bool():
            return "True or False", (bool,)
        case int():
            return "a number, 0 or more", (int, float)
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
    _effective()  # says what is wrong with GEOCACHE
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


def user_model() -> str:
    """Return the name of the project's model of users."""
    return settings.AUTH_USER_MODEL


def middleware() -> list[str]:
    """Return the dotted paths of the project's middleware, outermost first."""
    return list(settings.MIDDLEWARE)


def caches() -> dict[str, dict[str, Any]]:
    """Return the project's ``CACHES``."""
    return settings.CACHES


def names_cache() -> bool:
    """Tell whether ``CACHES`` names the cache to use; in a run of tests, whether a test does."""
    alias = get("CACHE_ALIAS")
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
    if setting in ("GEOCACHE", "BASE_DIR"):
        _effective.cache_clear()
        _var_dir.cache_clear()


setting_changed.connect(_forget, dispatch_uid="geocache.conf")
