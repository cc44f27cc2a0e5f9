"""Scores and comments of entries: kept, compared and changed."""

import math
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from geocache.addresses.blocks import Entry
from geocache.blocklists import apply
from geocache.blocklists.kept_entries import as_kept
from geocache.blocklists.sources import Origin
from geocache.models import ImportRun, ListedAddress
from tests.factories import use_dummy_provider
from tests.support.blocklists import an_entry, given_content, imported_entries, listed

pytestmark = pytest.mark.django_db
ONE, TWO, NETWORK = "1.1.1.1", "2.2.2.2", "5.6.7.0/24"


@pytest.fixture(autouse=True)
def _provider(settings: Any) -> None:
    use_dummy_provider(settings)


def said() -> dict[str, tuple[float | None, str]]:
    """What the table has of each entry that is listed."""
    rows = ListedAddress.objects.listed()
    return {one.entry: (one.score, one.comment) for one in rows}


def test_import_list__scores_and_comments_are_kept() -> None:
    imported_entries(an_entry(ONE, 9, "SBL1"), an_entry(NETWORK, 0.5), an_entry(TWO))
    assert said() == {ONE: (9, "SBL1"), NETWORK: (0.5, ""), TWO: (None, "")}


def test_import_list__other_score_is_neither_added_nor_removed() -> None:
    imported_entries(an_entry(ONE, 9), an_entry(TWO, 3, "a"), an_entry(NETWORK, 1))
    first = ImportRun.objects.get()
    outcome = imported_entries(an_entry(ONE, 10), an_entry(TWO, 3, "b"), an_entry(NETWORK, 1))
    assert (outcome.added_count, outcome.removed_count, outcome.changed_count) == (0, 0, 2)
    assert said() == {ONE: (10, ""), TWO: (3, "b"), NETWORK: (1, "")}
    run = ImportRun.objects.get(sha256=outcome.sha256)
    assert (run.changed_count, run.added.count(), first.added.count()) == (2, 0, 3)


def test_import_list__score_that_is_gone_is_none() -> None:
    imported_entries(an_entry(ONE, 9, "a"))
    assert imported_entries(an_entry(ONE)).changed_count == 1
    assert said() == {ONE: (None, "")}


def test_import_list__comes_back_with_what_is_said_now() -> None:
    imported_entries(an_entry(ONE, 9, "a"), an_entry(TWO))
    imported_entries(an_entry(TWO))
    gone = ListedAddress.objects.get(entry=ONE)
    assert (gone.is_listed, gone.score, gone.comment) == (False, 9, "a")
    outcome = imported_entries(an_entry(ONE, 2, "b"), an_entry(TWO))
    assert (outcome.added_count, outcome.changed_count) == (1, 0)
    assert said() == {ONE: (2, "b"), TWO: (None, "")}


def test_import_list__other_score_of_one_list_leaves_that_of_another() -> None:
    imported_entries(an_entry(ONE, 9), name="one")
    imported_entries(an_entry(ONE, 5), name="two")
    imported_entries(an_entry(ONE, 6), name="two")
    rows = ListedAddress.objects.order_by("source__name")
    assert list(rows.values_list("source__name", "score")) == [("one", 9), ("two", 6)]


def test_import_list__scores_on_a_database_that_nobody_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "vendor", "other")
    imported_entries(an_entry(ONE, 9), an_entry(TWO, 1, "a"))
    assert imported_entries(an_entry(ONE, 9), an_entry(TWO, 2, "b")).changed_count == 1
    assert said() == {ONE: (9, ""), TWO: (2, "b")}
    assert ListedAddress.objects.get(entry=ONE).is_listed


def test_import_list__change_keeps_days_and_runs() -> None:
    imported_entries(an_entry(ONE, 9))
    fields = ("is_listed", "first_listed_at", "last_listed_at", "added_run", "removed_run", "pk")
    before = ListedAddress.objects.values(*fields).get()
    imported_entries(an_entry(ONE, 10))
    assert ListedAddress.objects.values(*fields).get() == before


def test_import_list__content_that_comes_back_counts_its_changes_again() -> None:
    imported_entries(an_entry(ONE, 9))
    imported_entries(an_entry(ONE, 10))
    outcome = imported_entries(an_entry(ONE, 9))
    assert (outcome.status, outcome.changed_count) == ("applied", 1)
    assert said() == {ONE: (9, "")}
    imported_entries(an_entry(ONE, 10))
    assert set(ImportRun.objects.values_list("changed_count", flat=True)) == {1}


def test_import_list__interrupted_among_changes_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [an_entry(f"20.0.0.{number}", 1) for number in range(100)]
    imported_entries(*entries)
    others = [one._replace(score=2.0) for one in entries]
    monkeypatch.setattr(apply, "BATCH_ENTRIES", 30)
    calls = iter(range(100))
    broken = lambda _: next(calls) == 2 and 1 / 0  # noqa: E731 - one line
    monkeypatch.setattr(apply, "locate", broken)
    with pytest.raises(ZeroDivisionError):
        imported_entries(*others)
    assert ImportRun.objects.get(state="failed").changed_count == 60
    assert imported_entries(*others).changed_count == 100
    assert {score for score, _ in said().values()} == {2}


def test_import_list__content_that_older_readers_have_read_is_read_again() -> None:
    imported_entries(an_entry(ONE))
    ImportRun.objects.update(reader_version=0)
    ListedAddress.objects.update(comment="of older readers")
    outcome = imported_entries(an_entry(ONE))
    assert (outcome.status, outcome.added_count, outcome.changed_count) == ("applied", 0, 1)
    assert imported_entries(an_entry(ONE)).status == "unchanged"


def test_compare__counts_other_scores() -> None:
    imported_entries(an_entry(ONE, 9), an_entry(TWO, 1))
    with given_content(an_entry(ONE, 8), an_entry(TWO, 1)) as content:
        outcome = apply.compare(Origin("test", ""), content)
    assert (outcome.added_count, outcome.removed_count, outcome.changed_count) == (0, 0, 1)
    assert said()[ONE] == (9, "")


HOSTILE = [
    an_entry(ONE, math.nan, "x\0y"),
    an_entry(ONE, math.inf, "Z\u00fcrich " * 100),
    an_entry(ONE, -math.inf, "\U0001f600" * 200),
    an_entry(ONE, 0.1 + 0.2, " a\n b\r\n"),
    an_entry(ONE, 1e308, "\udcff"),
    an_entry(ONE, -0.0, "\\u00" * 90),
    an_entry(ONE, 5e-324, "a" * 1_000_000),
    an_entry(ONE, 2**53 + 1, "=1+1"),
    an_entry(ONE, 10**400),
    an_entry(ONE, None, "\x1b[2J"),
]


@pytest.mark.parametrize("entry", HOSTILE, ids=range(len(HOSTILE)))
def test_import_list__what_is_kept_is_never_changed_by_itself(entry: Entry) -> None:
    imported_entries(entry)
    # Another content of the same entries.
    outcome = imported_entries(entry, an_entry(TWO))
    assert (outcome.added_count, outcome.changed_count) == (1, 0)
    row = ListedAddress.objects.get(entry=ONE)
    assert len(row.comment) <= 200
    assert row.comment.isascii()
    assert row.score is None or math.isfinite(row.score)


def test_as_kept__comment_is_cut_between_characters() -> None:
    kept = as_kept(an_entry(ONE, 1, "a" + "\U0001f600" * 200))
    row = ListedAddress(entry=ONE, comment=kept.comment)
    assert row.shown_comment == "a" + "\U0001f600" * 16


def test_import_list__changes_are_few_statements() -> None:
    entries = [an_entry(f"20.0.{n >> 8}.{n & 255}", 1) for n in range(600)]
    imported_entries(*entries)
    with CaptureQueriesContext(connection) as queries:
        imported_entries(*(one._replace(score=2.0) for one in entries))
    table = connection.ops.quote_name("geocache_listedaddress")
    about = [one["sql"] for one in queries if f"INSERT INTO {table}" in one["sql"]]
    # MariaDB takes 500 rows at a time.
    assert len(about) <= 2
    assert len(listed()) == 600
