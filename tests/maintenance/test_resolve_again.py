from ipaddress import ip_address
from typing import Any

import pytest

from geocache.exceptions import InvalidAddress, ProviderError
from geocache.journal import backlog
from geocache.journal.flush import flush_dirty
from geocache.lookup import hot_entries, lookup
from geocache.maintenance.resolve_again import resolve_again
from geocache.models import GeoCache
from tests.factories import LONDON, MOSCOW_V6, a_row, use_dummy_provider

pytestmark = pytest.mark.django_db
LEEDS = {"country_code": "GB", "city": "Leeds"}


def test_resolve_again__newest_answer_is_hot_and_with_the_next_flush_in_the_table(
    settings: Any,
) -> None:
    provider = use_dummy_provider(settings, answers={LONDON: {"city": "London"}})
    lookup(LONDON)
    flush_dirty()
    provider.answers = {LONDON: LEEDS}

    new = resolve_again([LONDON])

    assert new[LONDON].city == "Leeds"
    assert hot_entries.get_many(provider.build(), [LONDON]) == new
    assert lookup(LONDON) == new[LONDON]
    assert GeoCache.objects.get().city == "London"
    flush_dirty()
    assert GeoCache.objects.get().city == "Leeds"


def test_resolve_again__metered_provider_is_asked_although_there_is_a_row(settings: Any) -> None:
    a_row()
    provider = use_dummy_provider(settings, answers={LONDON: LEEDS}, is_metered=True)
    resolve_again([LONDON, LONDON])
    assert provider.asked == [LONDON]


def test_resolve_again__what_the_provider_fails_on_stays_as_it_was(settings: Any) -> None:
    a_row()
    use_dummy_provider(settings, is_failing=True)
    with pytest.raises(ProviderError):
        resolve_again([LONDON])
    assert backlog.read_backlog().answer_count == 0
    assert GeoCache.objects.get().city == "London"


def test_resolve_again__special_addresses_are_left_out(settings: Any) -> None:
    provider = use_dummy_provider(settings)
    assert resolve_again(["10.0.0.1", "::1"]) == {}
    assert set(resolve_again(["10.0.0.1", MOSCOW_V6])) == {MOSCOW_V6}
    assert provider.asked == [MOSCOW_V6]


def test_resolve_again__what_is_no_address_raises(settings: Any) -> None:
    use_dummy_provider(settings)
    with pytest.raises(InvalidAddress):
        resolve_again(["London"])


def test_resolve_again__journal_comes_before_the_hot_entry(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_dummy_provider(settings)
    pending: list[int] = []
    monkeypatch.setattr(
        hot_entries,
        "set_many",
        lambda *_, **__: pending.append(backlog.recount(0)),
    )
    resolve_again([LONDON])
    assert pending == [1]


def test_resolve_again__what_is_paid_for_holds_for_the_network(settings: Any) -> None:
    answers = {LONDON: {"city": "Leeds", "network": "81.2.69.0/24"}}
    provider = use_dummy_provider(settings, answers=answers, is_metered=True)
    a_row()
    resolve_again([LONDON])
    neighbour = {"81.2.69.7": ip_address("81.2.69.7")}
    assert hot_entries.get_near(provider.build(), neighbour)["81.2.69.7"].city == "Leeds"
