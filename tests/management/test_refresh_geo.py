import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from geocache.models import GeoCache
from tests.factories import LONDON, a_row, many_locations, use_dummy_provider

pytestmark = pytest.mark.django_db(transaction=True)


def refreshed(*arguments: str) -> str:
    out = io.StringIO()
    call_command("refresh_geo", *arguments, stdout=out)
    return out.getvalue()


def test_refresh_geo__says_what_it_did_in_one_line(settings: Any) -> None:
    use_dummy_provider(settings, answers={LONDON: {"city": "Leeds"}})
    a_row()
    assert refreshed().startswith("1 resolved, 0 failed, in ")
    assert GeoCache.objects.get().city == "Leeds"


def test_refresh_geo__json(settings: Any) -> None:
    use_dummy_provider(settings)
    figures = json.loads(refreshed("--json"))
    assert figures.pop("seconds") >= 0
    assert figures == {"resolved": 0, "failed": 0, "is_complete": True}


def test_refresh_geo__limit_that_leaves_some_is_75(settings: Any) -> None:
    use_dummy_provider(settings)
    GeoCache.objects.upsert(many_locations(3))
    with pytest.raises(CommandError, match="run it again") as raised:
        refreshed("--limit", "2")
    assert raised.value.returncode == 75


def test_refresh_geo__metered_has_to_be_allowed_and_bounded(settings: Any) -> None:
    provider = use_dummy_provider(settings, is_metered=True)
    a_row()
    with pytest.raises(CommandError, match="Allow it with --metered --limit ROWS"):
        refreshed()
    with pytest.raises(CommandError, match="Say with --limit"):
        refreshed("--metered")
    assert provider.asked == []
    refreshed("--metered", "--limit", "5")
    assert provider.asked == [LONDON]


@pytest.mark.parametrize("text", ["0", "-1", "many", "1e3", "9" * 5000])
def test_refresh_geo__refuses_a_limit(text: str) -> None:
    with pytest.raises(CommandError, match="is not a number of rows above 0"):
        call_command("refresh_geo", f"--limit={text}")


def test_refresh_geo__failing_provider_is_one_line(settings: Any) -> None:
    use_dummy_provider(settings, is_failing=True)
    a_row()
    with pytest.raises(CommandError, match=r"^the dummy provider was told to fail \(see docs"):
        refreshed()
