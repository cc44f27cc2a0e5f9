import logging
import os
import threading
import time

import pytest
from django.db import InterfaceError

from geocache import background, under_test
from geocache.background import Background


@pytest.fixture
def started(monkeypatch):
    """The names of threads that would have been started."""
    names = []

    class Thread:
        def __init__(self, *, name, **_):
            self.name = name

        def start(self):
            names.append(self.name)

    monkeypatch.setattr(background.threading, "Thread", Thread)
    return names


@pytest.fixture
def in_production(monkeypatch):
    monkeypatch.setattr(under_test, "is_this_process", lambda: False)


def test_run_due__calls_each_task_once_in_its_seconds(monkeypatch):
    clock, calls, tasks = [0.0], [], Background()
    monkeypatch.setattr(background.time, "monotonic", lambda: clock[0])
    tasks.every("often", lambda: calls.append(("often", clock[0])), 2)
    tasks.every("seldom", lambda: calls.append(("seldom", clock[0])), 5)
    for clock[0] in range(7):
        tasks.run_due(clock[0])
    assert [at for name, at in calls if name == "often"] == [0, 2, 4, 6]
    assert [at for name, at in calls if name == "seldom"] == [0, 5]


def test_run_due__a_task_that_fails_is_logged_and_stops_no_other(caplog):
    calls, tasks = [], Background()

    def fail():
        raise RuntimeError("no such thing")

    tasks.every("bad", fail, 1)
    tasks.every("good", lambda: calls.append(1), 1)
    with caplog.at_level(logging.WARNING, logger="geocache"):
        tasks.run_due(time.monotonic())
    assert calls == [1]
    assert "geo_background_task_failed" in caplog.text
    assert "no such thing" in caplog.text


def test_run_due__a_connection_that_cannot_be_closed_ends_no_thread(monkeypatch, caplog):
    calls, tasks = [], Background()

    def fail():
        raise InterfaceError("connection already closed")

    monkeypatch.setattr(background.connections, "close_all", fail)
    tasks.every("good", lambda: calls.append(1), 1)
    with caplog.at_level(logging.WARNING, logger="geocache"):
        tasks.run_due(time.monotonic())
    tasks.run_due(time.monotonic() + 2)
    assert calls == [1, 1]
    assert "connection already closed" in caplog.text


def test_every__a_second_call_under_one_name_replaces_the_first():
    calls, tasks = [], Background()
    tasks.every("one", lambda: calls.append("first"), 1)
    tasks.every("one", lambda: calls.append("second"), 1)
    tasks.run_due(time.monotonic())
    assert calls == ["second"]


@pytest.mark.usefixtures("in_production")
def test_start__starts_one_thread(started):
    tasks = Background()
    tasks.every("one", lambda: None, 1)
    tasks.start()
    tasks.start(sender=object(), signal=None)
    assert started == ["geocache background"]


@pytest.mark.usefixtures("in_production")
def test_start__without_a_task_there_is_no_thread(started):
    Background().start()
    assert started == []


def test_start__in_a_test_run_there_is_no_thread(started):
    tasks = Background()
    tasks.every("one", lambda: None, 1)
    tasks.start()
    assert started == []


@pytest.mark.usefixtures("in_production")
def test_start__a_forked_child_starts_its_own(started):
    tasks = Background()
    tasks.every("one", lambda: None, 1)
    tasks.start()
    tasks.after_fork()
    tasks.start()
    assert len(started) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_start__a_fork_is_noticed():
    was_running = background.of_this_process.is_running
    background.of_this_process.is_running = True
    try:
        # Other threads of the test run do not matter to a child that ends at once.
        child = os.fork()
        if not child:
            os._exit(int(background.of_this_process.is_running))
        assert os.waitpid(child, 0)[1] == 0
    finally:
        background.of_this_process.is_running = was_running


@pytest.mark.usefixtures("in_production")
def test_start__the_thread_runs_the_tasks():
    is_called, tasks = threading.Event(), Background()
    tasks.every("one", is_called.set, 3600)
    tasks.start()
    assert is_called.wait(5)
