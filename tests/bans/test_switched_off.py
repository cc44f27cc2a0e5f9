"""BANS_ENABLED: bans in force are ended, and begin again when it is on."""

from typing import Any

import pytest

from geocache.bans import apply as bans
from geocache.bans import compared
from geocache.exceptions import BanError
from geocache.jobs import geo_bans
from geocache.models import Ban
from tests.factories import use_dummy_provider
from tests.support.ban_actions import RecordingAction, WholeAction, use_action
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db
ENTRIES = ["1.1.1.1", "2.2.2.2"]


@pytest.fixture(autouse=True)
def _lists(settings: Any) -> None:
    use_dummy_provider(settings)
    use_action(settings, RecordingAction)


def switch(settings: Any, *, on: bool) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BANS_ENABLED": on}


def test_job__ends_the_bans_and_begins_them_again(settings: Any) -> None:
    imported(*ENTRIES)
    switch(settings, on=False)
    assert bans.are_due()
    assert geo_bans()["detail"]["ended"] == 2
    assert not Ban.objects.exists()
    assert not bans.are_due()
    switch(settings, on=True)
    assert bans.are_due()
    assert geo_bans()["detail"]["banned"] == 2
    assert RecordingAction.asked == [("ban", ENTRIES), ("unban", ENTRIES), ("ban", ENTRIES)]


def test_import__bans_nothing_while_they_are_off(settings: Any) -> None:
    switch(settings, on=False)
    imported(*ENTRIES)
    assert RecordingAction.asked == []
    switch(settings, on=True)
    geo_bans()
    assert RecordingAction.asked == [("ban", ENTRIES)]


def test_job__empties_a_whole_once(settings: Any) -> None:
    use_action(settings, WholeAction)
    imported(*ENTRIES)
    switch(settings, on=False)
    geo_bans()
    geo_bans()
    assert WholeAction.asked[1:] == [("replace", [])]
    switch(settings, on=True)
    geo_bans()
    assert WholeAction.asked[2:] == [("replace", ENTRIES)]
    assert Ban.objects.count() == 2


def test_job__ends_what_a_killed_process_has_not_recorded(settings: Any) -> None:
    use_action(settings, WholeAction)
    imported(*ENTRIES)
    switch(settings, on=False)
    # As one that was killed after it has replaced the whole.
    Ban.objects.all().delete()
    compared.begin()
    geo_bans()
    assert WholeAction.asked[-1] == ("replace", [])


def test_job__keeps_a_ban_that_could_not_be_ended(settings: Any) -> None:
    imported(*ENTRIES)
    switch(settings, on=False)
    RecordingAction.fails_at = 1
    with pytest.raises(BanError):
        bans.apply_due_bans()
    assert Ban.objects.count() == 2
    bans.apply_due_bans()
    assert not Ban.objects.exists()
