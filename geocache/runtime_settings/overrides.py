"""Change settings at run time: stored in a table, applied in this process, told to the others."""

from collections.abc import Mapping
from typing import Any, Final

from geocache import conf
from geocache.exceptions import SettingRefused
from geocache.instants import utc_now
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.models import SettingOverride
from geocache.models.connection import (
    DATABASE_ERRORS,
    after_commit,
    drop_broken_connection,
    is_table_missing,
    savepoint_for_reading,
    writing_alias,
)
from geocache.runtime_settings import document
from geocache.text import first_line

log = get_logger(__name__)

unread = LogThrottle(seconds=300)


class Changes:
    """What this process knows of changes beside the settings that count."""

    def __init__(self) -> None:
        # Changes made here: what was read before one is out of date.
        self.count = 0
        # Stored values that were said to be ignored, each once.
        self.ignored: set[tuple[str, str]] = set()


changes: Final = Changes()


def change(name: str, value: Any, *, by: str) -> None:
    """Have the setting ``name`` be ``value`` from now on, in every process.

    It counts once the transaction is committed that the caller may have open. ``by`` is the name of
    a user. Raises ``SettingRefused`` with one line when it is locked, or cannot have this value.
    """
    if problem := change_problem(name, value):
        raise SettingRefused(problem)
    SettingOverride.written().update_or_create(
        name=name, defaults={"value": value, "changed_by": by, "changed_at": utc_now()}
    )
    after_commit(lambda: _announce(name, by))


def reset(name: str, *, by: str) -> None:
    """Have the settings file count again for the setting ``name``, in every process."""
    deleted_count, _ = SettingOverride.written().filter(name=name).delete()
    if deleted_count:
        after_commit(lambda: _announce(name, by))


def change_problem(name: str, value: Any) -> str:
    """Return why the admin cannot give a setting this value in one line, or the empty text."""
    if name in conf.DEFAULTS and conf.is_locked(name):
        return f"{name} is locked by LOCKED_SETTINGS of the settings file"
    return _problem(name, value)


def stored() -> dict[str, SettingOverride]:
    """Return what the admin has changed, by name; also what is locked or cannot be used."""
    return {row.name: row for row in SettingOverride.written()}


def refresh() -> None:
    """Read the table and apply it in this process, now. Never raises.

    Where it cannot be read, what counted before still counts.
    """
    count_before = changes.count
    values = read_table()
    if values is not None and count_before == changes.count:
        apply(values)


def read_table() -> dict[str, Any] | None:
    """Return the stored values by name; None where the table cannot be read."""
    try:
        with savepoint_for_reading(writing_alias()):
            return dict(SettingOverride.written().values_list("name", "value"))
    except DATABASE_ERRORS as error:
        _report_unread(error)
    except Exception:  # noqa: BLE001, S110 - no database is set up, or a test or an event loop forbids it
        pass
    return None


def apply(values: Mapping[str, Any]) -> None:
    """Have the stored ``values`` count in this process, without those that cannot be used."""
    if values == conf.overridden():
        return
    usable = {name: value for name, value in values.items() if _is_usable(name, value)}
    if usable != conf.overridden():
        conf.override(usable)


def _announce(name: str, by: str) -> None:
    """Apply what was committed, here and in all processes."""
    changes.count += 1
    values = read_table()
    if values is not None:
        document.replace(values)
        apply(values)
    log.info("geo_setting_changed", setting=name, by=by, source=conf.source(name))


def _is_usable(name: str, value: Any) -> bool:
    problem = _problem(name, value)
    if problem and (name, problem) not in changes.ignored:
        changes.ignored.add((name, problem))
        log.warning("geo_setting_ignored", setting=name, error=problem)
    return not problem


def _problem(name: str, value: Any) -> str:
    # It knows bans and limits, which most processes do not load.
    from geocache.runtime_settings import catalogue  # noqa: PLC0415

    try:
        return catalogue.problem(name, value)
    except Exception as error:  # noqa: BLE001 - a stored value may be anything, and stops no other
        return f"{name} cannot be read: {first_line(error)}"


def _report_unread(error: Exception) -> None:
    """Say that the table cannot be read, unless ``migrate`` has yet to make it."""
    drop_broken_connection()
    if not is_table_missing(SettingOverride) and unread.is_due():
        log.warning("geo_settings_not_read", error=first_line(error))
