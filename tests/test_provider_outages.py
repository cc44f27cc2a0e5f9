from datetime import timedelta
from typing import Any

import pytest

from geocache import counters, provider_outages, site_counters
from geocache.providers.chain import ChainProvider
from geocache.providers.dummy import DummyProvider
from geocache.status import read_part
from tests.factories import NOON

pytestmark = pytest.mark.cache_decides
DUMMY = "geocache.providers.dummy.DummyProvider"


class OtherProvider(DummyProvider):
    """Another one of a chain."""


def note(*, answered: float, failed: float, since: float) -> None:
    """Note what happened how many seconds before noon, and tell all processes."""
    label, now = DummyProvider().label, NOON.timestamp()
    for name, ago in {"answered": answered, "failed": failed, "failing_since": since}.items():
        counters.mark((f"provider_{name}", label), round(now - ago))
    site_counters.Sender().send()
    counters.reset()


def test_read__a_provider_of_which_no_query_is_answered() -> None:
    note(answered=900, failed=10, since=400)
    (outage,) = provider_outages.read(DummyProvider(), NOON)
    ago = (NOON - outage.since, NOON - outage.last_failed_at)
    assert ago == (timedelta(seconds=400), timedelta(seconds=10))
    assert outage.is_only
    assert outage.to_plain()["since"] == outage.since.isoformat()


def test_read__an_answer_that_another_process_had_ends_it() -> None:
    note(answered=5, failed=10, since=400)
    assert provider_outages.read(DummyProvider(), NOON) == []


@pytest.mark.parametrize(
    ("failed", "since"), [pytest.param(10, 50, id="too short"), pytest.param(900, 999, id="over")]
)
def test_read__no_outage(failed: int, since: int) -> None:
    note(answered=5000, failed=failed, since=since)
    assert provider_outages.read(DummyProvider(), NOON) == []


def test_read__what_only_this_process_knows_yet() -> None:
    note(answered=900, failed=10, since=400)
    counters.mark(("provider_answered", DummyProvider().label), round(NOON.timestamp()))
    assert provider_outages.read(DummyProvider(), NOON) == []


def test_read__the_members_of_a_chain() -> None:
    note(answered=900, failed=10, since=400)
    other = {"BACKEND": "tests.test_provider_outages.OtherProvider"}
    (outage,) = provider_outages.read(ChainProvider([{"BACKEND": DUMMY}, other]), NOON)
    assert not outage.is_only


def test_read__is_a_part_of_the_state(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "PROVIDER": {"BACKEND": DUMMY}}
    note(answered=900, failed=10, since=400)
    (outage,) = read_part("queries", NOON).fields["outages"]
    assert outage.provider == DummyProvider().label
