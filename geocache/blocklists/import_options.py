"""How each list is read: as ``IMPORT_OPTIONS`` says, or the command line, which wins."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from itertools import starmap
from typing import Any, Final

from geocache import conf
from geocache.bans import apply as bans
from geocache.bans.fail2ban import Fail2banAction
from geocache.bans.nftables import NftablesAction
from geocache.blocklists.formats.base import Options
from geocache.blocklists.formats.detect import format_problem
from geocache.exceptions import BanError, ImportFailed
from geocache.labels import label_problem

# What a list can have in ``IMPORT_OPTIONS``, and the field of ``Options`` that it is.
FIELDS: Final = {
    "format": "format_name",
    "column": "column",
    "score_column": "score_column",
    "set": "set_name",
    "allow_empty": "allow_empty",
}
# What else it can have: not how it is read, but what being on it says of an address.
LABEL: Final = "label"


def options_of(name: str, given: Mapping[str, Any] | None = None) -> Options:
    """Return how the list ``name`` is read; ``given`` are fields that win over the settings.

    Raises ``ImportFailed``.
    """
    configured = conf.get("IMPORT_OPTIONS").get(name, {})
    if problem := _problem(configured):
        raise ImportFailed(f"IMPORT_OPTIONS of {name!r}: {problem}")
    fields = {FIELDS[key]: _text(value) for key, value in configured.items() if key in FIELDS}
    fields |= {field: value for field, value in (given or {}).items() if value}
    if problem := format_problem(str(fields.get("format_name", ""))):
        raise ImportFailed(problem)
    return Options(**fields, **_own())


def content_id(content_sha256: str, options: Options) -> str:
    """Return what tells a content as it is read with these options; by default its SHA-256."""
    chosen = told_apart_by(options)
    return sha256(f"{content_sha256} {chosen}".encode()).hexdigest() if chosen else content_sha256


def told_apart_by(options: Options) -> str:
    """Return what options make of one content another list, or the empty text."""
    # Whether it may be empty does not change what is in it, and own bans are never read.
    chosen = replace(options, allow_empty=False, own_jail="", own_table="")
    return "" if chosen == Options() else repr(chosen)


def problems() -> list[str]:
    """Return what cannot be used of ``IMPORT_OPTIONS``, one line each."""
    found = []
    for name, configured in conf.get("IMPORT_OPTIONS").items():
        problem = _problem(configured)
        if not problem:
            problem = format_problem(_text(configured.get("format", "")))
        if problem:
            found.append(f"IMPORT_OPTIONS of {name!r}: {problem}")
    return found


def _problem(configured: Any) -> str:
    if not isinstance(configured, Mapping):
        return f"it is {configured!r}; it has to be a dict"
    return next(filter(None, starmap(_problem_of_one, configured.items())), "")


def _problem_of_one(key: Any, value: Any) -> str:
    if key == LABEL:
        return label_problem(value)
    if key not in FIELDS:
        return f"there is no option {key!r}; choose of {', '.join((*FIELDS, LABEL))}"
    if key == "allow_empty":
        is_usable, kind = isinstance(value, bool), "true or false"
    elif key.endswith("column"):
        # The number of a column is more naturally a number than a text.
        is_usable = isinstance(value, str | int) and not isinstance(value, bool)
        kind = "the name or number of a column"
    else:
        is_usable, kind = isinstance(value, str), "a text"
    return "" if is_usable else f"{key} is {value!r}; it has to be {kind}"


def _text(value: Any) -> Any:
    return value if isinstance(value, bool) else str(value)


def _own() -> dict[str, Any]:
    """Return what ``BAN_ACTION`` bans with."""
    # One that cannot be loaded fails the import itself, and bans nothing meanwhile.
    with suppress(BanError):
        match bans.current():
            case Fail2banAction() as action:
                return {"own_jail": action.jail}
            case NftablesAction() as action:
                return {"own_table": action.table}
    return {}
