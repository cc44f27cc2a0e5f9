"""The loggers of this package: structlog's interface above ``logging.getLogger("geocache.…")``.

A host project's ``LOGGING`` decides where a line goes and from which level, whether the project
knows structlog or not. Nothing is ever printed.
"""

import json
import logging
import re
from collections.abc import Mapping, MutableMapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from geocache.log_events import HELP, page_of

if TYPE_CHECKING:
    import structlog
    from structlog.typing import Processor, ProcessorReturnValue

Event = MutableMapping[str, Any]

# Attributes of a record, which ``extra`` may not replace.
RESERVED: Final = {*vars(logging.makeLogRecord({})), "asctime", "message", "taskName"}
# What is for ``logging`` itself, and not part of an event.
OF_LOGGING: Final = ("exc_info", "stack_info")
# How far the caller is above ``logging``: three frames of structlog are in between, which the class
# of loggers that structlog may set passes over by itself.
STACK_LEVEL: Final = 4
# In a URL of a server, before its name or in its query, or a token, of the API or of another. An
# error's text may hold one.
CREDENTIALS: Final = re.compile(
    r"(?<=://)[^/\s]+(?=@)|(?<=[?&])(?P<name>\w*(?:key|token|secret|password)=)[^&\s\"']+"
    r"|(?<=\bBearer )[^\s\"',]+|\bgeocache_[\w-]{43}",
    re.IGNORECASE,
)
HIDDEN: Final = "[hidden]"
# Of an error, which may quote a page or a statement.
MOST_CHARACTERS: Final = 1_000
# Methods of a logger whose lines a person has to act on.
ACTED_ON: Final = frozenset({"warning", "warn", "error", "exception", "critical", "fatal"})
# A value that stands in a line as it is; any other is quoted, its line breaks escaped.
PLAIN: Final = re.compile(r"[^\s\"=\\\x00-\x1f\x7f-\x9f]+")


class Logger:
    """A logger that imports structlog when it is first used: most commands log nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def _bound(self) -> "structlog.stdlib.BoundLogger":
        import structlog  # noqa: PLC0415 - see above: an eighth of what a command takes to start

        return cast(
            "structlog.stdlib.BoundLogger",
            structlog.wrap_logger(
                logging.getLogger(self.name),
                processors=[_process],
                wrapper_class=structlog.stdlib.BoundLogger,
                context_class=dict,
                cache_logger_on_first_use=True,
            ),
        )

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._bound, attribute)


def get_logger(name: str) -> "structlog.stdlib.BoundLogger":
    """Return the logger of a module, by its ``__name__``; it is built when it is first used."""
    return cast("structlog.stdlib.BoundLogger", Logger(name))


def load_structlog() -> None:
    """Import structlog now: a process that lasts may have no file left to open when it logs."""
    _own()


def _process(logger: Any, method: str, event: Event) -> "ProcessorReturnValue":
    """Make of an event what ``logger`` is called with."""
    result: ProcessorReturnValue = event
    for processor in _processors():
        result = processor(logger, method, cast(Event, result))
    return result


def _processors() -> "list[Processor]":
    """Return those of the host if it sends structlog's events to ``logging``, else our own.

    The processors of a host that prints events may return what ``logging`` cannot take.
    """
    import structlog  # noqa: PLC0415 - loaded already: a logger calls this

    configured = structlog.get_config()
    if isinstance(configured["logger_factory"], structlog.stdlib.LoggerFactory):
        return [
            _hide_credentials,
            _shorten_error,
            _add_help,
            *cast("list[Processor]", configured["processors"]),
        ]
    return _own()


def _hide_credentials(_: Any, __: str, event: Event) -> Event:
    return {
        name: value if name in OF_LOGGING else _without_credentials(value)
        for name, value in event.items()
    }


def _shorten_error(_: Any, __: str, event: Event) -> Event:
    """Bring what a library says, such as a driver of a database, into one line."""
    if isinstance(error := event.get("error"), str):
        # Hidden before it is cut: half of a URL is not recognised.
        event["error"] = _without_credentials(" ".join(error.split()))[:MOST_CHARACTERS]
    return event


def _add_help(_: Any, method: str, event: Event) -> Event:
    """Name the page of the documents that says what to do."""
    if method in ACTED_ON and (page := page_of(str(event.get("event")), _text(event.get("job")))):
        event.setdefault(HELP, page)
    return event


def _to_record(logger: Any, _: str, event: Event) -> Mapping[str, Any]:
    """Return the arguments of a call to ``logging``: a readable line, and its values as extra."""
    arguments = {name: event.pop(name) for name in OF_LOGGING if name in event}
    name = event.pop("event")
    values = {key: _without_credentials(value) for key, value in event.items()}
    line = " ".join([str(name), *(f"{key}={_shown(value)}" for key, value in values.items())])
    extra = {f"{key}_" if key in RESERVED else key: value for key, value in values.items()}
    is_plain = type(logger).findCaller is logging.Logger.findCaller
    return {
        "msg": line,
        "extra": extra,
        "stacklevel": STACK_LEVEL if is_plain else 1,
        **arguments,
    }


def _without_credentials(value: Any) -> Any:
    """Return a value, or its text without a password where it shows one, as an error may."""
    if value is None or isinstance(value, int | float):
        return value
    text = _text(value)
    hidden = CREDENTIALS.sub(lambda match: (match["name"] or "") + HIDDEN, text)
    return value if hidden == text else hidden


def _text(value: Any) -> str:
    """Return a value as text; what raises an error for it, as a host's may, stops no caller."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - any value of a host's context
        return f"<{type(value).__name__}>"


def _shown(value: Any) -> str:
    text = _text(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


@cache
def _own() -> "list[Processor]":
    import structlog  # noqa: PLC0415 - see Logger

    return [
        # First: what is not logged costs nothing more.
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        _shorten_error,
        _add_help,
        _to_record,
    ]
