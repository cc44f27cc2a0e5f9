"""Bans that an action names as not in force, and entries that it cannot ban at all."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from geocache.bans import apply as bans
from geocache.exceptions import ImportFailed, NotInForce
from geocache.models import Ban, ImportRun
from tests.factories import use_dummy_provider
from tests.support.ban_actions import RecordingAction, use_action
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db


class LosingAction(RecordingAction):
    """Loses some bans, now or later, and says so."""

    lost: ClassVar[set[str]] = set()
    # Those of earlier batches, which it names with the next one.
    lost_later: ClassVar[set[str]] = set()

    def ban(self, entries: Sequence[str]) -> None:
        super().ban(entries)
        self._name_lost(entries)

    def _name_lost(self, entries: Sequence[str]) -> None:
        if found := self.lost & set(entries) | self.lost_later:
            raise NotInForce(found, where="jail", advice="do something")


class HostsAction(RecordingAction):
    """Takes no networks."""

    def takes(self, entry: str) -> bool:
        return "/" not in entry


@pytest.fixture(autouse=True)
def _action(settings: Any) -> None:
    use_dummy_provider(settings)
    use_action(settings, LosingAction)
    LosingAction.lost, LosingAction.lost_later = set(), set()


def banned() -> list[str]:
    return sorted(Ban.objects.values_list("entry", flat=True))


def test_bans__that_are_lost_are_not_recorded_and_the_rest_is() -> None:
    LosingAction.lost = {"1.1.1.1", "4.4.4.4"}
    with pytest.raises(ImportFailed) as caught:
        imported("1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4", "5.5.5.5")
    # One line for all batches.
    said = "jail: the firewall lacks 2 of its bans (1.1.1.1, 4.4.4.4); do something"
    assert str(caught.value) == said
    assert ImportRun.objects.get().error == said
    assert banned() == ["2.2.2.2", "3.3.3.3", "5.5.5.5"]


def test_bans__that_are_lost_are_asked_for_again_by_the_next_import() -> None:
    LosingAction.lost = {"2.2.2.2"}
    with pytest.raises(ImportFailed):
        imported("1.1.1.1", "2.2.2.2")
    LosingAction.asked.clear()
    LosingAction.lost = set()
    assert bans.are_due()
    assert imported("1.1.1.1", "2.2.2.2").banned_count == 1
    assert LosingAction.asked == [("ban", ["2.2.2.2"])]


def test_bans__that_are_found_lost_later_are_not_recorded_any_more() -> None:
    imported("1.1.1.1", "2.2.2.2")
    LosingAction.lost_later = {"1.1.1.1"}
    with pytest.raises(ImportFailed, match=r"lacks 1 of its bans \(1\.1\.1\.1\)"):
        imported("1.1.1.1", "2.2.2.2", "3.3.3.3")
    assert banned() == ["2.2.2.2", "3.3.3.3"]


def test_bans__many_that_are_lost_are_counted_and_three_are_shown() -> None:
    LosingAction.lost = {f"9.9.9.{number}" for number in range(1_200)}
    error = NotInForce(LosingAction.lost, where="jail", advice="do something")
    assert "1,200 of its bans" in str(error)
    assert str(error).count("9.9.9.") == 3


def test_bans__of_what_an_action_does_not_take_are_not_asked_for(settings: Any) -> None:
    use_action(settings, HostsAction)
    imported("1.1.1.1", "2.2.2.0/24")
    assert HostsAction.asked == [("ban", ["1.1.1.1"])]
    assert banned() == ["1.1.1.1"]
