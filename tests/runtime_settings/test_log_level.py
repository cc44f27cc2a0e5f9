import logging

import pytest

from geocache import conf
from geocache.runtime_settings import log_level
from geocache.runtime_settings.log_level import LoggerLevel


@pytest.fixture
def logger() -> logging.Logger:
    some = logging.getLogger("tests.some_level")
    some.setLevel(logging.WARNING)
    return some


def test_logger_level__is_put_over_and_comes_back(logger: logging.Logger) -> None:
    level = LoggerLevel(logger)
    level.apply(None)
    assert logger.level == logging.WARNING
    level.apply("DEBUG")
    level.apply("ERROR")
    assert logger.level == logging.ERROR
    level.apply(None)
    assert logger.level == logging.WARNING


def test_logger_level__nonsense_restores_what_was_there(logger: logging.Logger) -> None:
    level = LoggerLevel(logger)
    level.apply("DEBUG")
    level.apply("LOUD")
    assert logger.level == logging.WARNING


def test_follow__each_change_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("geocache")
    before = logger.level
    monkeypatch.setattr(log_level, "of_this_process", LoggerLevel(logger))
    conf.override({"LOG_LEVEL": "CRITICAL"})
    try:
        assert logger.level == logging.CRITICAL
        assert not logging.getLogger("geocache.journal.flush").isEnabledFor(logging.ERROR)
    finally:
        conf.override({})
    assert logger.level == before
