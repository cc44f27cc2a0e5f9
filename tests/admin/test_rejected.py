from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client

from geocache.journal import backlog
from geocache.location import dump_locations
from geocache.models import GeoCache, RejectedEntry
from tests.factories import (
    many_locations,
)
from tests.support.admin_pages import FLUSH, REJECTED, a_rejected, break_cache, said

pytestmark = pytest.mark.django_db


def try_again(client: Client) -> Any:
    keys = list(RejectedEntry.objects.values_list("pk", flat=True))
    given = {"action": "try_again", "_selected_action": keys}
    return client.post(REJECTED, given, follow=True)


@pytest.mark.django_db(transaction=True)
def test_try_again__entries_are_journaled_and_then_in_the_table(superuser):
    a_rejected()
    a_rejected(dump_locations(many_locations(2)))
    assert said(try_again(superuser)) == [
        "2 entries are journaled again; the next flush tries them."
    ]
    assert not RejectedEntry.objects.exists()
    superuser.post(FLUSH)
    assert GeoCache.objects.count() == 3


def test_try_again__unreadable_record_stays(superuser):
    a_rejected("garbage")
    a_rejected()
    assert said(try_again(superuser)) == [
        "1 entry is journaled again; the next flush tries it.",
        "1 entry cannot be read by this release and stays here.",
    ]
    assert RejectedEntry.objects.get().record == "garbage"


def test_try_again__journal_that_is_away_leaves_the_entries(superuser, monkeypatch):
    a_rejected()
    a_rejected()
    break_cache(monkeypatch)
    [message] = said(try_again(superuser))
    assert message.startswith("The journal takes no more entries now: ")
    assert RejectedEntry.objects.count() == 2


def test_try_again__killed_in_between_loses_nothing(superuser, monkeypatch):
    def fail(*_: object) -> None:
        raise DatabaseError("gone")

    a_rejected()
    monkeypatch.setattr(RejectedEntry, "delete", fail)
    with pytest.raises(DatabaseError):
        try_again(superuser)
    assert backlog.read_backlog().answer_count == 1
    assert RejectedEntry.objects.count() == 1


def test_try_again__viewer_may_not(viewer):
    a_rejected()
    assert "Try again" not in viewer.get(REJECTED).text
    try_again(viewer)
    assert RejectedEntry.objects.count() == 1
    assert backlog.read_backlog().answer_count == 0


def test_rejected_entry__can_be_given_up(superuser):
    entry = a_rejected()
    assert superuser.post(f"{REJECTED}{entry.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not RejectedEntry.objects.exists()


def test_rejected_entry__cannot_be_changed(superuser):
    entry = a_rejected()
    response = superuser.post(f"{REJECTED}{entry.pk}/change/", {"record": "other"})
    assert response.status_code == 403
    assert RejectedEntry.objects.get().record == entry.record
