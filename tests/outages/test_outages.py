import argparse
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import require
from tests.outages import following, interruptions, watch
from tests.outages.__main__ import is_good, outages
from tests.outages.site import Site, a_site, missing_programs


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    missing = missing_programs()
    require(not missing, ", ".join(missing))
    with a_site(seconds=300) as made:
        made.begin()
        yield made


@pytest.mark.any_services
@pytest.mark.slow
def test_outages__are_said_and_over_soon(site: Site) -> None:
    paths = interruptions.paths_of(site)
    options = argparse.Namespace(seconds=1, short=True, outage=interruptions.SHORT)

    redis, postgres = outages(site, paths, options)

    # Visitors are answered meanwhile.
    for one in (redis, postgres):
        assert set(one["seen"][watch.LOOKUP]["results"]) == {"found"}, one
        assert one["back_seconds"] is not None, one
        assert one["seen"].get(watch.LIVE, {}).get("statuses", {200: 1}).keys() == {200}, one
    if watch.READY in paths:
        assert "cache critical" in redis["parts"], redis
        assert "database critical" in postgres["parts"], postgres
    if watch.METRICS in paths:
        assert any("_up" in name for name in redis["metrics"]), redis
        assert any("_up" in name for name in postgres["metrics"]), postgres


@pytest.mark.any_services
@pytest.mark.slow
def test_settings__are_followed_by_all_processes_within_ten_seconds(site: Site) -> None:
    # The last test on this site: it leaves the settings changed.
    found = following.follow(site, rounds=1)

    if found is None:
        pytest.skip("this checkout has no settings in the admin")
    assert following.is_good(found), found


FORM = """
<form method="get"><input name="q"></form>
<form method="post" action="save/">
<input type="hidden" name="csrfmiddlewaretoken" value="abc"><input name="value" value="7">
<input type="checkbox" name="is_on"><input type="submit" name="_save" value="Save">
<select name="unit"><option value="s">s</option><option value="m" selected>m</option></select>
</form>
"""


def test_form__is_read_as_a_browser_does() -> None:
    action, fields = following.form_of(FORM, ["value"])

    assert urllib.parse.urljoin("/admin/x/", action) == "/admin/x/save/"
    assert fields == {"csrfmiddlewaretoken": "abc", "value": "7", "unit": "m"}


def found(**changes: Any) -> dict[str, Any]:
    outage = {
        "seen": {watch.READY: {"max_ms": changes.get("ready_ms", 150.0)}},
        "back_seconds": changes.get("back_seconds", 1.0),
    }
    followed = {
        "workers": [{"1": 0.1, "2": changes.get("worker_seconds", 4.0)}],
        "scheduler": [{"followed_seconds": changes.get("scheduler_seconds", 5.0)}],
    }
    if changes.get("has_lazy_worker"):
        del followed["workers"][0]["2"]
    return {"settings": followed, "outages": [outage]}


@pytest.mark.parametrize(
    "changes",
    [
        {"ready_ms": 201.0},
        {"back_seconds": None},
        {"worker_seconds": 10.1},
        {"has_lazy_worker": True},
        {"scheduler_seconds": None},
        {"scheduler_seconds": 10.1},
    ],
)
def test_is_good__only_where_all_is_as_promised(changes: dict[str, Any]) -> None:
    assert is_good(found())
    assert not is_good(found(**changes))


def test_reply__tells_which_parts_are_not_well() -> None:
    body = (
        '{"parts": {"cache": {"level": "ok"}, "journal": {"level": "unknown"}},'
        ' "findings": [{"part": "cache", "text": "It is away."}]}'
    )

    reply = watch.Reply(200, body, 1.0)

    assert watch.bad_parts(reply) == {"journal": "unknown"}
    assert watch.texts(reply) == {"cache": "It is away."}
    assert watch.bad_parts(watch.Reply(0, "no JSON", 1.0)) == {}


def test_samples__are_those_of_states() -> None:
    body = (
        '# HELP geocache_part_up x\ngeocache_part_up{part="cache"} 0.0\n'
        "geocache_lookups_total 7.0\n"
    )

    assert watch.samples(watch.Reply(200, body, 1.0)) == {'geocache_part_up{part="cache"}': "0.0"}
