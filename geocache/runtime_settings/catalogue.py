"""Which settings may change at run time, which values they take, and how these are shown."""

from typing import Any, Final

from geocache import conf
from geocache.exceptions import BanError, MissingExtra
from geocache.runtime_settings import entries_of_answers, entries_of_jobs
from geocache.runtime_settings.entry import Entry
from geocache.setting_bounds import RETENTION_DAYS

ENTRIES: Final[dict[str, Entry]] = {
    one.name: one for one in (*entries_of_answers.ENTRIES, *entries_of_jobs.ENTRIES)
}
NAMES: Final = frozenset(ENTRIES)

SECRET: Final = "a secret, which no page may show"  # noqa: S105 - it says why one is not shown
PLACE: Final = "a path or URL, of which the server reads what is there"
CODE: Final = "names code, which each process loads when it starts"
HOSTS: Final = "decides from which hosts the server may fetch something"
TRUST: Final = "decides who is believed about visitors: a mistake lets them forge their address"
# All others, each with the reason.
NOT_AT_RUN_TIME: Final = {
    "PROVIDER": CODE,
    "DATABASES": PLACE,
    "SOURCES": "describes the files that the settings file names",
    "CACHE_ALIAS": "names a cache of the settings file; answers that wait would stay in the other",
    "CACHE_ALIASES": "names caches of the settings file, to which this process may have no way",
    "VAR_DIR": PLACE,
    "ASYNC_THREADS": "sizes a pool that a process opens once",
    "ASYNC_QUERIES": "is read with the provider, which a process makes once",
    "BASE_TEMPLATE": CODE,
    "VISITOR_ADDRESS": CODE,
    "TRUSTED_PROXIES": TRUST,
    "CLIENT_IP_HEADER": TRUST,
    "EDGE_HEADERS": TRUST,
    "EDGE_PROXIES": TRUST,
    "EDGE_MODE": TRUST,
    "METRICS_TOKEN": SECRET,
    "METRICS_ADDRESSES": "decides which programs see the details of the state",
    "UPDATE_URLS": PLACE,
    "MAXMIND_ACCOUNT_ID": SECRET,
    "MAXMIND_LICENSE_KEY": SECRET,
    "MAXMIND_EDITIONS": "belongs to the account, which is in the settings file",
    "UPDATE_REDIRECT_HOSTS": HOSTS,
    "DOWNLOAD_PRIVATE_HOSTS": HOSTS,
    "IMPORT_SOURCES": PLACE,
    "IMPORT_OPTIONS": "belongs to IMPORT_SOURCES, which is in the settings file",
    "IMPORT_HOSTS": HOSTS,
    "BAN_ACTION": CODE,
    "LOCKED_SETTINGS": "says what the admin may not change",
    "ENVIRONMENT_VARIABLES": "describes the settings file",
}


def problem(name: str, value: Any) -> str:
    """Return why a setting cannot have this value at run time in one line, or the empty text.

    The same functions judge it as in ``manage.py check``, so the line is English.
    """
    if name not in ENTRIES:
        return f"{name} cannot be changed at run time"
    return conf.kind_problem(name, value) or _value_problem(name, value)


def clean(name: str, text: str) -> Any:
    """Return the value that people mean by ``text``; raise ``ValueError`` with a line for them."""
    try:
        value = ENTRIES[name].kind.clean(text)
    except MissingExtra as error:
        raise ValueError(str(error)) from error
    if said := problem(name, value):
        raise ValueError(said)
    return value


def shown(name: str, value: Any) -> str:
    """Return a value as people read it, in one line."""
    return ", ".join(shown_lines(name, value))


def shown_lines(name: str, value: Any) -> list[str]:
    """Return a value as people read it, each item of a list by itself."""
    try:
        return list(ENTRIES[name].kind.lines(value))
    except Exception:  # noqa: BLE001 - a settings file, or a row, may hold anything
        return [repr(value)]


def written(name: str, value: Any) -> str:
    """Return the text that ``clean`` makes this value of, or the empty text."""
    try:
        return ENTRIES[name].kind.written(value)
    except Exception:  # noqa: BLE001 - as above
        return ""


def _value_problem(name: str, value: Any) -> str:
    """Return what is wrong with a value of the right type."""
    # What knows of bans and limits takes time to import.
    if name.endswith("_RATE"):
        return _rate_problem(value)
    if name == "RETENTION_DAYS":
        return "" if RETENTION_DAYS.takes(value) else f"it has to be {RETENTION_DAYS.words}"
    if name == "DAILY_QUOTAS":
        from geocache.providers.quota import quota_problem  # noqa: PLC0415

        return quota_problem(value)
    from geocache.bans import protection  # noqa: PLC0415

    if name not in protection.SETTINGS:
        return ""
    try:
        protection.check_setting(name, value)
    except BanError as error:
        return str(error)
    return ""


def _rate_problem(value: Any) -> str:
    if not value:
        return ""
    try:
        from geocache.rate_limit.limiter import parse_rate  # noqa: PLC0415

        parse_rate(value)
    except (MissingExtra, ValueError) as error:
        return str(error)
    return ""
