from typing import Any

import pytest

from geocache.bans import apply as bans
from geocache.bans.preview import Sample, preview
from geocache.bans.protection import Reason
from geocache.models import Ban
from tests.factories import use_dummy_provider
from tests.support.assertions import no_database_write
from tests.support.ban_actions import RecordingAction, use_action
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db


def test_preview__what_would_be_done_and_what_never_is(settings: Any) -> None:
    use_dummy_provider(settings)
    use_action(settings, RecordingAction)
    imported("1.1.1.1", "2.2.2.2", name="old")
    asked = RecordingAction.asked.copy()
    settings.GEOCACHE = {**settings.GEOCACHE, "BAN_ACTION": None, "NEVER_BAN": ["2.2.2.2"]}
    imported(*(f"20.0.0.{n}" for n in range(30)), "10.0.0.1", name="new")
    use_action(settings, RecordingAction)
    action = bans.current()
    assert action is not None
    with no_database_write(max_queries=6):
        due = preview(action)
    assert due.to_ban.count == 30
    assert due.to_ban.first == tuple(sorted(f"20.0.0.{n}" for n in range(30)))[:20]
    assert due.to_end == Sample(1, ("2.2.2.2",))
    assert (due.skipped, due.first_skipped) == (
        {Reason.SPECIAL: 1},
        (("10.0.0.1", Reason.SPECIAL),),
    )
    assert (due.is_due, due.is_lost) == (True, False)
    assert asked == [("ban", ["1.1.1.1", "2.2.2.2"])]
    assert RecordingAction.asked == []
    assert Ban.objects.count() == 2
    bans.apply_bans()
    assert not preview(action).is_due
