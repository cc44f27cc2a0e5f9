"""Where answers are shown, they have the labels of lists; where they are kept, they do not."""

import io
import json

import pytest
from django.core.management import call_command

from geocache.journal import backlog
from geocache.labels import give_label
from geocache.lookup import lookup
from tests.factories import LONDON, use_dummy_provider
from tests.support.blocklists import imported

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _labelled(settings):
    use_dummy_provider(settings)
    settings.GEOCACHE = {**settings.GEOCACHE, "PUBLIC_LOOKUP": True}
    imported(LONDON, name="one")
    imported("81.2.0.0/16", "10.0.0.0/8", name="two")
    give_label("one", "vpn")
    give_label("two", "bot")


def output(*arguments):
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_lookup__is_not_labelled():
    assert lookup(LONDON).traits == ()
    found = backlog.find(LONDON)
    assert found is None or found.traits == ()


def test_lookup_geo__in_json_only():
    lines = output("lookup_geo", "--json", LONDON, "10.0.0.1", "9.9.9.9").splitlines()
    assert [json.loads(line)["traits"] for line in lines] == [["bot", "vpn"], ["bot"], []]
    assert "vpn" not in output("lookup_geo", LONDON)


def test_explain__names_the_lists():
    give_label("two", "vpn")
    assert "Labels" in output("status_geo", "--explain", LONDON)
    assert "vpn: on one, two" in output("status_geo", "--explain", LONDON)
    assert "Labels" not in output("status_geo", "--explain", "9.9.9.9")
    told = json.loads(output("status_geo", "--explain", "10.0.0.1", "--json"))
    assert told["labels"] == {"vpn": ["two"]}


def test_api__answers_are_labelled(client):
    assert client.get(f"/api/lookup/{LONDON}").json()["traits"] == ["bot", "vpn"]
    given = {"addresses": [f" {LONDON}", "10.0.0.1", "9.9.9.9", "nonsense"]}
    results = client.post("/api/lookup", given, content_type="application/json").json()["results"]
    assert [one.get("traits") for one in results] == [["bot", "vpn"], ["bot"], [], None]
    text = client.post("/api/lookup", f"from {LONDON}\n", content_type="text/plain").json()
    assert [one["traits"] for one in text["results"]] == [["bot", "vpn"]]
