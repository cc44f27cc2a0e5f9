import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from geocache.log import get_logger
from tests.support.small_project import SmallProject

log = get_logger("geocache.test_log")
PLAIN_LOGGER = logging.getLogger("geocache.test_log")


@pytest.fixture
def unconfigured() -> Iterator[None]:
    """A host that does not know structlog."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.fixture
def printing(unconfigured: None) -> None:  # noqa: ARG001 - a host configures it before use
    """A host whose structlog prints JSON."""
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    )


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    handler = Kept()
    PLAIN_LOGGER.addHandler(handler)
    yield handler.records
    PLAIN_LOGGER.removeHandler(handler)


def only(records: list[logging.LogRecord]) -> logging.LogRecord:
    (record,) = records
    return record


@pytest.mark.usefixtures("unconfigured")
def test_get_logger__a_record_is_readable_and_has_the_values(
    records: list[logging.LogRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    log.error("geo_thing", error="timed out: 5 s", provider="Dummy", fields=["a", "b"])
    record = only(records)
    assert record.getMessage() == (
        "geo_thing error=\"timed out: 5 s\" provider=Dummy fields=\"['a', 'b']\""
    )
    assert (record.name, record.levelno) == ("geocache.test_log", logging.ERROR)
    values: Any = record
    assert (values.error, values.provider, values.fields) == (
        "timed out: 5 s",
        "Dummy",
        ["a", "b"],
    )
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("printing")
def test_get_logger__a_host_whose_structlog_prints_gets_a_record(
    records: list[logging.LogRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    log.warning("geo_thing", count=5)
    assert only(records).getMessage() == "geo_thing count=5"
    assert capsys.readouterr().out == ""


def test_get_logger__a_host_whose_structlog_logs_gets_the_event(
    records: list[logging.LogRecord],
) -> None:
    log.warning("geo_thing", count=5)
    message: Any = only(records).msg
    assert (message["event"], message["count"], message["level"]) == ("geo_thing", 5, "warning")


def test_get_logger__can_be_captured_after_it_was_used() -> None:
    log.warning("geo_before")
    with structlog.testing.capture_logs() as captured:
        log.warning("geo_thing", count=5)
    assert captured == [{"event": "geo_thing", "count": 5, "log_level": "warning"}]


@pytest.mark.usefixtures("unconfigured")
@pytest.mark.parametrize("name", ["name", "args", "msg", "message", "taskName", "lineno"])
def test_get_logger__a_name_that_records_have_gets_another_one(
    records: list[logging.LogRecord], name: str
) -> None:
    log.warning("geo_thing", **{name: "mine"})
    record = only(records)
    assert getattr(record, f"{name}_") == "mine"
    assert record.getMessage() == f"geo_thing {name}=mine"


@pytest.mark.usefixtures("unconfigured")
def test_get_logger__a_record_names_the_line_that_logs(records: list[logging.LogRecord]) -> None:
    log.warning("geo_thing")
    assert only(records).filename == "test_log.py"
    assert only(records).funcName == "test_get_logger__a_record_names_the_line_that_logs"


@pytest.mark.usefixtures("unconfigured")
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("", '""'),
        ('"', r'"\""'),
        ("two\nlines", r'"two\nlines"'),
        ("\x1b[31m", r'"\u001b[31m"'),
        ("100% %s", '"100% %s"'),
        (None, "None"),
        (0.5, "0.5"),
    ],
)
def test_get_logger__a_value_stays_on_its_line(
    records: list[logging.LogRecord], value: object, shown: str
) -> None:
    log.warning("geo_thing", value=value)
    assert only(records).getMessage() == f"geo_thing value={shown}"


@pytest.fixture(params=["host without structlog", "host with structlog"])
def each_host(request: pytest.FixtureRequest) -> None:
    # Without the fixture it is the bundled project, which configures structlog for logging.
    if request.param == "host without structlog":
        request.getfixturevalue("unconfigured")


@pytest.mark.usefixtures("each_host")
@pytest.mark.parametrize(
    "place",
    ["redis://:hunter2@h:6379", "https://h/x?license_key=hunter2", "Authorization: Bearer hunter2"],
)
@pytest.mark.parametrize("form", [str, OSError, lambda text: [text], lambda text: {"at": text}])
def test_get_logger__a_password_of_a_server_is_hidden(
    records: list[logging.LogRecord], place: str, form: Callable[[str], object]
) -> None:
    log.error("geo_thing", error=form(f"{place} refused"), count=5)
    assert "hunter2" not in repr(vars(only(records)))
    assert "refused" in only(records).getMessage()


HELP = "docs/troubleshooting.md#provider-failed"


@pytest.mark.usefixtures("unconfigured")
def test_get_logger__an_error_names_the_page_that_says_what_to_do(
    records: list[logging.LogRecord],
) -> None:
    log.error("geo_provider_failed", provider="Dummy", error="away")
    record: Any = only(records)
    assert record.help == HELP
    assert record.getMessage() == f"geo_provider_failed provider=Dummy error=away help={HELP}"


@pytest.mark.usefixtures("unconfigured")
def test_get_logger__what_has_not_to_be_acted_on_names_no_page(
    records: list[logging.LogRecord],
) -> None:
    log.warning("geo_thing")
    with_level = PLAIN_LOGGER.level
    PLAIN_LOGGER.setLevel(logging.INFO)
    log.info("geo_provider_failed")
    PLAIN_LOGGER.setLevel(with_level)
    assert [hasattr(record, "help") for record in records] == [False, False]


def test_get_logger__a_host_with_structlog_gets_the_page_too(
    records: list[logging.LogRecord],
) -> None:
    log.error("geo_provider_failed", provider="Dummy", error="away")
    message: Any = only(records).msg
    assert message["help"] == HELP


@pytest.mark.usefixtures("each_host")
def test_get_logger__an_error_is_one_short_line(records: list[logging.LogRecord]) -> None:
    cut = "redis://:hunter2@" + "x" * 5_000
    log.error("geo_thing", error=f"refused\n  LINE 1: {'y' * 960} {cut}")
    assert "refused LINE 1: yyy" in only(records).getMessage()
    assert "hunter2" not in only(records).getMessage()
    assert len(only(records).getMessage()) < 1_200


class Unshown:
    def __str__(self) -> str:
        raise AssertionError("formatted, but not logged")


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.usefixtures("unconfigured")
def test_get_logger__a_value_without_a_text_stops_no_caller(
    records: list[logging.LogRecord],
) -> None:
    """What a host binds to its context comes along, and is of any type."""
    with structlog.contextvars.bound_contextvars(held=Unreadable()):
        log.warning("geo_job_failed", job=["a"], error=Unreadable())
    line = only(records).getMessage()
    assert line.startswith("geo_job_failed ")
    assert "held=<Unreadable>" in line
    assert "error=<Unreadable>" in line


@pytest.mark.usefixtures("unconfigured")
def test_get_logger__a_level_that_is_off_formats_nothing(
    records: list[logging.LogRecord],
) -> None:
    PLAIN_LOGGER.setLevel(logging.ERROR)
    try:
        log.warning("geo_thing", value=Unshown())
    finally:
        PLAIN_LOGGER.setLevel(logging.NOTSET)
    assert records == []


@pytest.mark.usefixtures("unconfigured")
def test_get_logger__one_that_the_host_has_disabled_is_silent(
    records: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PLAIN_LOGGER, "disabled", True)
    log.error("geo_thing")
    assert records == []


@pytest.mark.usefixtures("unconfigured")
def test_get_logger__context_of_the_host_is_on_the_record(
    records: list[logging.LogRecord],
) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        log.warning("geo_thing")
    record: Any = only(records)
    assert record.request_id == "r1"


@pytest.mark.usefixtures("unconfigured")
def test_get_logger__an_error_has_its_traceback(records: list[logging.LogRecord]) -> None:
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("geo_thing")
    record = only(records)
    assert record.exc_info
    assert record.exc_info[0] is ValueError


@pytest.mark.usefixtures("unconfigured")
def test_get_logger__a_formatter_of_structlog_alone_shows_the_line() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    PLAIN_LOGGER.addHandler(handler)
    try:
        log.warning("geo_thing", count=5)
    finally:
        PLAIN_LOGGER.removeHandler(handler)
    assert json.loads(stream.getvalue()) == {"event": "geo_thing count=5", "count": 5}


FAILING = """
GEOCACHE = {"PROVIDER": {"BACKEND": "failing.FailingProvider"}}
LOGGING = {
    "version": 1,
    "formatters": {"line": {"format": "%(name)s %(filename)s %(message)s"}},
    "handlers": {"file": {
        "class": "logging.FileHandler", "filename": BASE_DIR / "geo.log", "formatter": "line",
    }},
    "loggers": {"geocache": {"handlers": ["file"]}},
}
"""
PROVIDER = """
from geocache.exceptions import ProviderError
from geocache.providers.base import Provider

class FailingProvider(Provider):
    def build(self):
        return "1"
    def sources(self):
        return []
    def resolve(self, address):
        raise ProviderError("the service is away")
"""


@pytest.mark.slow
def test_log__a_host_has_it_in_its_file_and_json_alone_on_stdout(tmp_path: Path) -> None:
    host = SmallProject.make(tmp_path, FAILING, failing=PROVIDER)
    assert host.manage("migrate", "-v0").returncode == 0
    done = host.manage("lookup_geo", "--json", "8.8.8.8")
    assert [json.loads(line)["reason"] for line in done.stdout.splitlines()] == ["unavailable"]
    assert (host.folder / "geo.log").read_text() == (
        "geocache.lookup.tiers tiers.py geo_provider_failed provider=FailingProvider "
        'error="the service is away" help=docs/troubleshooting.md#provider-failed\n'
    )


def test_log__to_import_it_builds_no_logger() -> None:
    code = (
        "import logging, structlog; before = logging.getLoggerClass()\n"
        "from geocache.log import get_logger; get_logger('geocache.x')\n"
        "assert not structlog.is_configured() and logging.getLoggerClass() is before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
