"""Read settings from the environment; nonsense is rejected with one line that says what to do."""

import json
import math
import os
import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import environ
from django.core.exceptions import ImproperlyConfigured

# Variables that were asked for, so that the source of a setting can be shown.
asked: set[str] = set()


class _Env(environ.Env):  # type: ignore[misc]  # django-environ is not typed
    """django-environ's, which notes what it is asked for."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        asked.add(var)
        return super().get_value(var, *args, **kwargs)


env = _Env()
# Settings of GEOCACHE whose variable has another name than theirs, with or without "GEOCACHE_".
RENAMED = {"REFRESH_TIME_LIMIT_SECONDS": "GEOCACHE_REFRESH_SECONDS"}

# A PostgreSQL that has vanished from the network is given up after 5 seconds by a new connection,
# and after half a minute to a minute by one that is open. In seconds, the last in milliseconds.
POSTGRES_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# Where CACHE_URL goes on with another server: any other comma belongs to a password.
BETWEEN_SERVERS = re.compile(r"([,;])(?=(?:rediss?|unix)://)")
# What may stand in a name and a password as it is; "%" for what is encoded already.
PLAIN = ":%!$&'()*+=~"
# How long another process may take to write a short file, in seconds.
WRITE_SECONDS = 5


def variables_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the variable of each of ``settings`` that was read from one, by the setting's name."""
    found = {}
    for name in settings:
        names = (RENAMED.get(name, f"GEOCACHE_{name}"), name)
        if variable := next((one for one in names if one in asked), None):
            found[name] = variable
    return found


def _text(name: str) -> str:
    """Return a variable without spaces around it; an empty text where it is not set."""
    asked.add(name)
    return os.environ.get(name, "").strip()


def flag(name: str, *, default: bool) -> bool:
    """Return a yes-or-no variable."""
    text = _text(name).lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    if text:
        raise ImproperlyConfigured(f"{name} is {text!r}; use true or false.")
    return default


def listed(name: str, default: list[str] | None = None) -> list[str]:
    """Return a comma-separated variable as a list without empty items."""
    return [item.strip() for item in env.list(name, default=default or []) if item.strip()]


def named(name: str) -> dict[str, str]:
    """Return a comma-separated variable of ``name=place`` pairs."""
    pairs = [item.partition("=") for item in listed(name)]
    for key, _, place in pairs:
        # Without a name, the first "=" is one inside of the place.
        if not place.strip() or not key.strip() or "/" in key:
            raise ImproperlyConfigured(
                f"{name} names each list and its place, as in ipsum=https://host/path,own=/srv/own."
            )
    return {key.strip(): place.strip() for key, _, place in pairs}


def json_object(name: str) -> dict[str, Any]:
    """Return a variable that is a JSON object."""
    text = _text(name)
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ImproperlyConfigured(f"{name} has to be a JSON object, as in {{}}.")
    return value


def name_or_json(name: str) -> str | dict[str, Any]:
    """Return a variable that is one word, or a JSON object."""
    text = _text(name)
    return json_object(name) if text.startswith("{") else text


def scores(name: str) -> dict[str, float]:
    """Return a comma-separated variable of ``name=number`` pairs."""
    found = {}
    for item in listed(name):
        # From the right: the name of a list may hold "=".
        key, _, text = (part.strip() for part in item.rpartition("="))
        try:
            score = float(text)
        except ValueError:
            score = math.nan
        if not key or not math.isfinite(score):
            raise ImproperlyConfigured(
                f"{name} names lists and the least score of each, as in ipsum=3,other=0.5."
            )
        found[key] = score
    return found


def quotas(name: str) -> dict[str, int]:
    """Return a comma-separated variable of ``name=number`` pairs, of whole numbers."""
    found = {}
    for item in listed(name):
        # From the right: the name of a provider may hold "=".
        key, _, digits = (part.strip() for part in item.rpartition("="))
        if not key or not (digits.isascii() and digits.isdigit() and len(digits) < 13):
            raise ImproperlyConfigured(
                f"{name} names providers and the queries of a day, as in MaxMind=1000,Other=50."
            )
        found[key] = int(digits)
    return found


def log_level(name: str) -> str | None:
    """Return a variable that is a level of logging, None where it is not set."""
    level = _text(name).upper()
    if level and level not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise ImproperlyConfigured(f"{name} is {level!r}; use DEBUG, INFO, WARNING or ERROR.")
    return level or None


def whole(name: str, *, default: int) -> int:
    """Return a variable that is a whole number, zero or more."""
    text = _text(name)
    if text and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ImproperlyConfigured(f"{name} is {text!r}; use a whole number.")
    return int(text) if text else default


def time_zone(*, default: str) -> str:
    """Return TIME_ZONE, the name of a zone such as Europe/Berlin."""
    name = os.environ.get("TIME_ZONE", "").strip() or default
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ImproperlyConfigured(f"TIME_ZONE {name!r} is not known.") from error
    return name


def var_dir(default: Path) -> Path:
    """Return the folder for everything that the embedded default writes, made if need be."""
    folder = Path(env.str("GEOCACHE_VAR_DIR", default=str(default))).expanduser().resolve()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"GEOCACHE_VAR_DIR {folder} cannot be made: {error.strerror}."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"GEOCACHE_VAR_DIR {folder} cannot be written to.")
    return folder


def secret_key(folder: Path, *, is_debug: bool) -> str:
    """Return SECRET_KEY; while DEBUG is on, one that was made up once and kept in ``folder``."""
    if given := os.environ.get("SECRET_KEY", ""):
        return given
    if not is_debug:
        raise ImproperlyConfigured("SECRET_KEY is not set; production does not start without it.")
    kept = folder / "secret_key"
    try:
        return _kept_text(kept, secrets.token_urlsafe(50))
    except OSError as error:
        raise ImproperlyConfigured(
            f"{kept} cannot be used: {error.strerror or error}. Set SECRET_KEY."
        ) from error


def _kept_text(path: Path, text: str) -> str:
    """Return what is in the file ``path``; of processes that start at once one puts ``text`` there.

    By an exclusive open: not each file system has hard links.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _whole_text(path)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return text


def _whole_text(path: Path) -> str:
    """Return what is in a file; a short text is written in one piece, so it is whole or empty."""
    deadline = time.monotonic() + WRITE_SECONDS
    while not (text := path.read_text()):
        if time.monotonic() > deadline:
            raise ImproperlyConfigured(f"{path} is empty; delete it, and another one is made.")
        time.sleep(0.01)
    return text


def database(folder: Path) -> dict[str, Any]:
    """Return the default database: DATABASE_URL, or SQLite in ``folder``."""
    if os.environ.get("DATABASE_URL"):
        try:
            configured: dict[str, Any] = env.db_url("DATABASE_URL")
        except Exception as error:
            raise ImproperlyConfigured("DATABASE_URL is not a database URL.") from error
        # A scheme that is not known is handed on as if it were an engine.
        if "." not in configured.get("ENGINE", ""):
            raise ImproperlyConfigured("DATABASE_URL names no database engine that is known.")
        if "sqlite" not in configured["ENGINE"]:
            configured.setdefault("CONN_MAX_AGE", 60)
            configured.setdefault("CONN_HEALTH_CHECKS", True)
            if configured["ENGINE"] == "django.db.backends.postgresql":
                configured["OPTIONS"] = POSTGRES_OPTIONS | configured.get("OPTIONS", {})
            return configured
    else:
        configured = {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "geocache.sqlite3"}
    # Without these "database is locked" kills a scheduler beside a web server.
    configured["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }
    return configured


def geocache_cache(folder: Path) -> dict[str, Any]:
    """Return the cache for geocache: CACHE_URL (Redis or Valkey), or a folder in ``folder``."""
    url = os.environ.get("CACHE_URL", "")
    prefix = os.environ.get("CACHE_KEY_PREFIX", "geocache")
    if not url:
        return {
            "BACKEND": "geocache.cache.embedded.EmbeddedCache",
            "LOCATION": str(folder / "cache"),
            "KEY_PREFIX": prefix,
            "TIMEOUT": 300,
        }
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ImproperlyConfigured("CACHE_URL has to start with redis://, rediss:// or unix://.")
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        # Each second part is what stands between two servers.
        "LOCATION": "".join(
            part if len(part) == 1 else _redis_url(part) for part in BETWEEN_SERVERS.split(url)
        ),
        "KEY_PREFIX": prefix,
        "OPTIONS": {
            "serializer": "geocache.cache.backends.TextSerializer",
            "socket_connect_timeout": 2,
            "socket_timeout": 5,
        },
    }


def _redis_url(url: str) -> str:
    """Return the URL of one server, its name and password encoded: Django splits at "," and ";"."""
    scheme, _, rest = url.partition("://")
    user, at, place = rest.rpartition("@") if not rest.startswith("/") else ("", "", rest)
    try:
        is_read = not re.search("[,;#]", place) and urlsplit(f"{scheme}://{place}").port != 0
    except ValueError:
        is_read = False
    if not is_read:
        raise ImproperlyConfigured(
            "CACHE_URL cannot be read: each server is redis://[[user]:password@]host[:port][/number]."
        )
    return f"{scheme}://{quote(user, safe=PLAIN)}{at}{place}"


def geocache_provider() -> dict[str, Any]:
    """Return what resolves addresses: database files, or MaxMind's service if it alone is set."""
    account = {
        "account_id": os.environ.get("GEOCACHE_MAXMIND_ACCOUNT_ID", "").strip(),
        "license_key": os.environ.get("GEOCACHE_MAXMIND_LICENSE_KEY", "").strip(),
    }
    if listed("GEOCACHE_DATABASES") or not any(account.values()):
        return {"BACKEND": "geocache.providers.mmdb.MmdbProvider"}
    service = {
        "service": os.environ.get("GEOCACHE_MAXMIND_SERVICE", "").strip() or "city",
        "host": os.environ.get("GEOCACHE_MAXMIND_HOST", "").strip() or "geolite.info",
        "timeout_seconds": whole("GEOCACHE_MAXMIND_TIMEOUT_SECONDS", default=5),
    }
    return {
        "BACKEND": "geocache.providers.http.maxmind.MaxMindProvider",
        "OPTIONS": account | service,
    }


def geocache_ban_action() -> dict[str, Any] | None:
    """Return what bans the entries of lists: a jail of fail2ban, a file of nftables, or nothing."""
    jail = os.environ.get("GEOCACHE_BAN_JAIL", "").strip()
    path = os.environ.get("GEOCACHE_BAN_NFTABLES_FILE", "").strip()
    if jail and path:
        raise ImproperlyConfigured(
            "Set one of GEOCACHE_BAN_JAIL and GEOCACHE_BAN_NFTABLES_FILE, not both."
        )
    if jail:
        options = {"jail": jail, "socket": os.environ.get("GEOCACHE_BAN_SOCKET", "").strip()}
        return {"BACKEND": "geocache.bans.fail2ban.Fail2banAction", "OPTIONS": options}
    if path:
        applied = flag("GEOCACHE_BAN_NFTABLES_APPLY", default=False)
        command = ["nft", "-f"] if applied else []
        return {
            "BACKEND": "geocache.bans.nftables.NftablesAction",
            "OPTIONS": {"path": path, "command": command},
        }
    return None
