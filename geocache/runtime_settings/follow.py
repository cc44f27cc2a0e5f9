"""Follow what other processes change, in the background thread of this one."""

import os
from contextlib import suppress
from threading import Event
from typing import Any, Final

from django.core.signals import request_started
from django.db import connections

from geocache import background, under_test
from geocache.models.connection import DATABASE_ERRORS
from geocache.runtime_settings import document, overrides
from geocache.runtime_settings.overrides import changes

# A process follows within this and the life of the document, which is twice as long.
SECONDS: Final = 4.0
# How long the first request of a process waits for what was changed before. Later ones never wait.
PATIENCE_SECONDS: Final = 0.5
# These have to answer in time also where the cache and the database hang.
PROBES: Final = ("/health/live", "/health/ready")


class FirstRead:
    """Whether this process has read for the first time what the admin has changed."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin again, as a forked child has to: its parent may have read long ago."""
        self.is_awaited = True
        self.is_done = Event()

    def wait(self, **request: Any) -> None:
        """Wait for it with the first request: with the settings file alone it might be let in."""
        if not self.is_awaited or not background.of_this_process.is_running:
            return
        given = request.get("environ") or {}
        path = given.get("PATH_INFO") or (request.get("scope") or {}).get("path", "")
        if not path.rstrip("/").endswith(PROBES):
            self.is_done.wait(PATIENCE_SECONDS)
            self.is_awaited = False


first: Final = FirstRead()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=first.forget)


def follow() -> None:
    """Apply what the document says; where there is none, read the table and make it."""
    count_before = changes.count
    values = document.read()
    if values is None:
        values = overrides.read_table()
        if values is None:
            return
        document.offer(values)
    if count_before == changes.count:
        overrides.apply(values)


def refresh_within(seconds: float) -> None:
    """Read the table and apply it, but wait no longer than ``seconds``; it then counts later."""
    if under_test.is_this_process():
        # Another thread does not see the transaction of a test.
        overrides.refresh()
        return

    def refresh() -> None:
        try:
            overrides.refresh()
        finally:
            with suppress(*DATABASE_ERRORS):
                connections.close_all()

    background.run_within(seconds, refresh, name="geocache settings")


def register() -> None:
    """Have the background thread of this process follow, and its first request wait for that."""
    background.every("settings", _follow_first_or_again, SECONDS)
    # After the receiver that starts the thread.
    request_started.connect(first.wait, dispatch_uid="geocache.runtime_settings")


def _follow_first_or_again() -> None:
    try:
        follow()
    finally:
        first.is_done.set()
