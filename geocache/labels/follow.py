"""The index of this process, and how it follows the lists.

The first question reads the lists; from then on the background thread looks every few seconds
whether they have changed, and only what has changed is read again. No question waits for that: the
index before answers meanwhile. Without questions, and without labelled lists, nothing is read.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import connections
from django.db.models.signals import post_save

from geocache import background, signals, under_test
from geocache.labels.index import EMPTY, Index
from geocache.labels.lists import (
    KnownList,
    document,
    labelled_lists,
    read_lists,
    read_ranges,
)
from geocache.labels.names import labels_of_settings
from geocache.labels.ranges import Ranges
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.models import ImportSource
from geocache.models.connection import (
    DATABASE_ERRORS,
    after_commit,
    drop_broken_connection,
    is_table_missing,
)
from geocache.text import first_line

log = get_logger(__name__)

# A process follows within this and the life of the document, which is as long.
SECONDS: Final = 4.0
# How long the first question waits for the index, and a change for its own process.
PATIENCE_SECONDS: Final = 0.8

unread = LogThrottle(seconds=300)


class KeptRanges(NamedTuple):
    """The ranges of one list, and of which content they are."""

    content: tuple[int | None, datetime | None]
    ranges: Ranges


class ProcessLabels:
    """What this process knows of labels."""

    def __init__(self) -> None:
        # None: nothing has been asked yet.
        self.index: Index | None = None
        # What the index was made of.
        self.labels: dict[int, str] = {}
        self.kept: dict[int, KeptRanges] = {}
        self.building = threading.Lock()
        # In a run of tests: this process has given a list a label.
        self.has_given = False

    def reset(self) -> None:
        """Begin again as a new process."""
        vars(self).update(vars(ProcessLabels()))

    def after_fork(self) -> None:
        """Have a lock that no thread of the parent holds."""
        self.building = threading.Lock()

    def current(self) -> Index:
        """Return the index, built if this is the first question of the process."""
        if self.index is None or under_test.is_this_process():
            self._first()
        return self.index or EMPTY

    def _first(self) -> None:
        if under_test.is_this_process():
            # No other thread sees the transaction of a test. Those without labels, of which a host
            # may have counted the queries, ask nothing.
            if self.has_given or labels_of_settings():
                self.refresh()
            return
        self.index = EMPTY
        background.every("labels", self.follow, SECONDS)
        self._within(PATIENCE_SECONDS, self.refresh)

    def follow(self) -> None:
        """Look whether the lists have changed; if so, have a thread of its own read them."""
        lists = document.read()
        if lists is None:
            lists = _read()
            if lists is None:
                return
            document.offer(lists)
        labels = labelled_lists(lists)
        if not self._is_current(labels) and not self.building.locked():
            self._within(0.0, lambda: self._build(labels))

    def refresh(self) -> None:
        """Read the lists from the table, and what has changed of them; keep what cannot be read."""
        lists = _read()
        if lists is not None:
            self._build(labelled_lists(lists))
        elif self.index is None:
            self.index = EMPTY

    def reload(self) -> None:
        """Have the index say what the table says now; raise what the database raises."""
        labels = labelled_lists(read_lists())
        if not self._is_current(labels):
            self._build(labels, is_raising=True)

    def changed(self) -> None:
        """Have this process know at once, and others soon, that lists have changed."""
        lists = _read()
        if lists is None:
            return
        document.replace(lists)
        if self.index is None:
            return
        labels = labelled_lists(lists)
        if under_test.is_this_process():
            self._build(labels)
        else:
            self._within(PATIENCE_SECONDS, lambda: self._build(labels))

    def _build(self, labels: dict[KnownList, str], *, is_raising: bool = False) -> None:
        with self.building:
            try:
                kept = {one.pk: self._ranges(one) for one in labels}
            except Exception as error:
                if is_raising:
                    raise
                # The index before answers.
                _report(error)
                return
            pairs = [(label, kept[one.pk].ranges) for one, label in labels.items()]
            self.index = Index.of_lists(pairs) if pairs else EMPTY
            self.labels, self.kept = {one.pk: label for one, label in labels.items()}, kept

    def _is_current(self, labels: dict[KnownList, str]) -> bool:
        names = {one.pk: label for one, label in labels.items()}
        return names == self.labels and all(self._holds(one) for one in labels)

    def _holds(self, one: KnownList) -> bool:
        if under_test.is_this_process():
            # Another test has other rows under the same keys.
            return False
        kept = self.kept.get(one.pk)
        # While it is imported the table holds a part of the new content.
        return kept is not None and (one.is_held or one.content == kept.content)

    def _ranges(self, one: KnownList) -> KeptRanges:
        if self._holds(one):
            return self.kept[one.pk]
        return KeptRanges(one.content, read_ranges(one.pk))

    def _within(self, seconds: float, act: Callable[[], object]) -> None:
        def in_thread() -> None:
            try:
                act()
            finally:
                with suppress(*DATABASE_ERRORS):
                    connections.close_all()

        background.run_within(seconds, in_thread, name="geocache labels")


of_this_process: Final = ProcessLabels()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=of_this_process.after_fork)


def changed_by_hand() -> None:
    """Have labels that were given or taken count, once the open transaction has committed."""
    of_this_process.has_given = True
    after_commit(of_this_process.changed)


def _read() -> list[KnownList] | None:
    try:
        return read_lists()
    except Exception as error:  # noqa: BLE001 - no database is set up, or a test or an event loop forbids it
        _report(error)
        return None


def _report(error: Exception) -> None:
    if not isinstance(error, DATABASE_ERRORS):
        return
    drop_broken_connection()
    if not is_table_missing(ImportSource) and unread.is_due():
        log.warning("geo_labels_unread", error=first_line(error))


def _on_change(**_: Any) -> None:
    of_this_process.changed()


def _on_saved(instance: ImportSource, **_: Any) -> None:
    of_this_process.has_given |= bool(instance.label)


post_save.connect(_on_saved, sender=ImportSource, dispatch_uid="geocache.labels")
signals.blocklist_changed.connect(_on_change, dispatch_uid="geocache.labels")
