import io
import json
import logging
import logging.config
import os
import sys

import pytest
import structlog
from django.core.exceptions import ImproperlyConfigured

from project import logs
from project.logs import HIDDEN, hide_secrets


def hidden(**event):
    return hide_secrets(None, "info", event)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def written(monkeypatch):
    """Configure logging on a stream of this test's own, and put back what was there."""

    def configure(stream, level="INFO"):
        monkeypatch.setattr(sys, "stderr", stream)
        logging.config.dictConfig(logs.configure(level))
        return stream

    loggers = [logging.getLogger(name) for name in ("", "geocache", "django", "apscheduler")]
    before = [(logger, logger.level, logger.handlers[:], logger.propagate) for logger in loggers]
    yield configure
    for logger, level, handlers, propagate in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate = propagate
    monkeypatch.undo()
    logs.configure("INFO")


# --- secrets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "passwd",
        "db_password",
        "PASSWORD",
        "secret",
        "SECRET_KEY",
        "client_secret",
        "token",
        "access_token",
        "csrf_token_value",
        "license",
        "license_key",
        "licence_key",
        "maxmind_license",
        "api_key",
        "apikey",
        "API_KEY",
        "account_key",
        "authorization",
        "Authorization",
        "cookie",
        "Set-Cookie",
        "session",
        "sessionid",
    ],
)
@pytest.mark.parametrize("value", ["hunter2", 5, ["hunter2"], {"a": "hunter2"}, None], ids=repr)
def test_hide_secrets__by_name(name, value):
    assert hidden(**{name: value}) == {name: HIDDEN}


@pytest.mark.parametrize(
    "name", ["event", "key", "address", "error", "network", "passed", "count", "flushed", "keys"]
)
def test_hide_secrets__other_names_stay(name):
    assert hidden(**{name: "text"}) == {name: "text"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:hunter2@h:6379/1", "redis://[hidden]@h:6379/1"),
        ("postgres://me:hunter2@h/db", "postgres://[hidden]@h/db"),
        ("two: a://b:hunter2@c and d://hunter2@f", "two: a://[hidden]@c and d://[hidden]@f"),
        ("https://example.com/@someone", "https://example.com/@someone"),
        ("https://example.com/?to=a@example.com", "https://example.com/?to=a@example.com"),
        ("write to me@example.com", "write to me@example.com"),
        ("postgres://me:hun%40ter2@h", "postgres://[hidden]@h"),
        ("postgres://me:hun@ter2@h/db", "postgres://[hidden]@h/db"),
        (
            "https://h/download?license_key=hunter2&suffix=tar.gz",
            "https://h/download?license_key=[hidden]&suffix=tar.gz",
        ),
        ("GET /x?a=b&TOKEN=hunter2 failed", "GET /x?a=b&TOKEN=[hidden] failed"),
        ("Authorization: Bearer hunter2, more", "Authorization: Bearer [hidden], more"),
        (f"asked with geocache_{'h' * 43}.", "asked with [hidden]."),
        ("geocache_geocache is a table", "geocache_geocache is a table"),
    ],
)
def test_hide_secrets__credentials_inside_addresses_of_servers(text, shown):
    assert hidden(error=text) == {"error": shown}
    assert hidden(event=text) == {"event": shown}


def test_hide_secrets__inside_dicts_lists_and_errors():
    event = hidden(
        options={"LOCATION": "redis://:hunter2@h", "nested": {"password": "hunter2", "a": 1}},
        servers=["redis://:hunter2@h", {"token": "hunter2"}, ("redis://:hunter2@h",)],
        error=ValueError("redis://:hunter2@h"),
        exception="Traceback ... redis://:hunter2@h",
    )
    assert "hunter2" not in repr(event)
    assert event["options"]["nested"]["a"] == 1


def test_hide_secrets__does_not_change_what_the_caller_holds():
    options = {"password": "hunter2"}
    hidden(options=options)
    assert options == {"password": "hunter2"}


def test_hide_secrets__numbers_and_names_that_are_no_text_stay():
    assert hidden(count=5, ratio=0.5, nothing=None, by={1: "a"}) == {
        "count": 5,
        "ratio": 0.5,
        "nothing": None,
        "by": {1: "a"},
    }


# --- formats -----------------------------------------------------------------------------------


def test_configure__is_one_line_of_json_an_event_when_nobody_looks_on(written):
    stream = written(io.StringIO())
    log = structlog.get_logger("geocache.test")
    log.warning("geo_thing_happened", address="81.2.69.142", password="hunter2", city="Zürich\n")
    logging.getLogger("django.request").error("Not %s", "Found")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "geo_thing_happened",
        "address": "81.2.69.142",
        "password": HIDDEN,
        "city": "Zürich\n",
        "logger": "geocache.test",
        "level": "warning",
    }
    assert (second["event"], second["level"]) == ("Not Found", "error")


def test_configure__is_for_people_on_a_terminal(written):
    stream = written(Terminal())
    structlog.get_logger("geocache.test").warning("geo_thing_happened", password="hunter2")
    text = stream.getvalue()
    assert "geo_thing_happened" in text
    assert not text.startswith("{")
    assert "hunter2" not in text


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_configure__an_exception_tells_no_credentials(written, kind):
    stream = written(kind())
    log = structlog.get_logger("geocache.test")
    try:
        raise ConnectionError("redis://:hunter2@h:6379 refused")
    except ConnectionError:
        log.exception("geo_thing_failed")
        logging.getLogger("django.request").exception("also")
    assert "ConnectionError" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_configure__something_that_json_does_not_know_is_still_a_line(written):
    stream = written(io.StringIO())
    structlog.get_logger("geocache.test").error("x", path=os.path, when=object(), raw=b"\xff")
    assert json.loads(stream.getvalue())["event"] == "x"


def test_configure__the_level_is_that_of_this_app(written):
    stream = written(io.StringIO(), "ERROR")
    structlog.get_logger("geocache.test").warning("quiet")
    logging.getLogger("elsewhere").warning("heard")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["heard"]


@pytest.mark.parametrize("level", ["nonsense", "", "10", "info"])
def test_configure__a_level_that_is_none_is_refused_in_one_line(level):
    with pytest.raises(ImproperlyConfigured) as refusal:
        logs.configure(level)
    assert str(refusal.value).startswith("LOG_LEVEL is ")
    assert "\n" not in str(refusal.value)
