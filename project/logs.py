"""structlog, configured once: pretty on a terminal, JSON otherwise, secrets never."""

import logging
import re
import sys
from typing import Any, Final

import structlog
from django.core.exceptions import ImproperlyConfigured
from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN: Final = "[hidden]"
SECRET_NAME: Final = re.compile(
    r"pass(word|wd)?$|secret|token|licen[cs]e|api_?key|_key$|authorization|cookie|session",
    re.IGNORECASE,
)
# In the address of a server, before its name or in its query, or a token of the API or of another;
# also in the text of an error.
CREDENTIALS: Final = re.compile(
    r"(?<=://)[^/\s]+(?=@)|(?<=[?&])(?P<name>\w*(?:key|token|secret|password)=)[^&\s\"']+"
    r"|(?<=\bBearer )[^\s\"',]+|\bgeocache_[\w-]{43}",
    re.IGNORECASE,
)


def hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Blank values whose name says that they are secret, and credentials inside URLs."""
    return {name: _hidden(name, value) for name, value in event.items()}


def _hidden(name: str, value: Any) -> Any:
    if SECRET_NAME.search(name):
        return HIDDEN
    if isinstance(value, str):
        return CREDENTIALS.sub(lambda match: (match["name"] or "") + HIDDEN, value)
    if isinstance(value, dict):
        return {key: _hidden(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden("", inner) for inner in value]
    if isinstance(value, BaseException):
        return _hidden("", repr(value))
    return value


def configure(level: str) -> dict[str, Any]:
    """Configure structlog and return Django's ``LOGGING``, for one format of all lines."""
    if level not in logging.getLevelNamesMapping():
        raise ImproperlyConfigured(f"LOG_LEVEL is {level!r}; use DEBUG, INFO, WARNING or ERROR.")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structlog": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    # Before secrets are hidden: an error's text may hold some.
                    structlog.processors.format_exc_info,
                    hide_secrets,
                    renderer,
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structlog"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "geocache": {"level": level},
            "django": {"level": "INFO", "handlers": [], "propagate": True},
            "django.server": {"level": "INFO", "handlers": [], "propagate": True},
            # What it says about each run is said better by the jobs themselves.
            "apscheduler": {"level": "WARNING"},
        },
    }
