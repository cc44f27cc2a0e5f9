import re
from datetime import timedelta

import pytest

from geocache.admin.display import AnswerColumns
from tests.factories import NOON, a_row

pytestmark = pytest.mark.django_db

NOTHING = {"country_code": "", "city": "", "asn": None, "organization": ""}


def test_past__is_a_line_for_each_former_answer_the_latest_first():
    a_row(city="<b>", asn=1, organization="First")
    for days, code in enumerate(["", "ZZ", "GB"], start=1):
        row = a_row(**NOTHING | {"country_code": code}, resolved_at=NOON + timedelta(days=days))
    lines = re.sub(r"</?time[^>]*>", "", AnswerColumns().past(row)).split("<br>")
    assert [line.strip() for line in lines] == [
        "2026-01-04 12:00 UTC - 2026-01-05 12:00 UTC: ZZ",
        "2026-01-03 12:00 UTC - 2026-01-04 12:00 UTC: Nothing known",
        "2026-01-02 12:00 UTC - 2026-01-03 12:00 UTC: United Kingdom, &lt;b&gt;, AS1 First",
    ]


def test_past__has_region_and_kind_of_network_and_no_unknown_beside_an_operator():
    a_row(region="Kent", traits=("anonymous", "anonymous_vpn"))
    a_row(**NOTHING | {"asn": 1}, resolved_at=NOON + timedelta(days=1))
    row = a_row(resolved_at=NOON + timedelta(days=2))
    text = AnswerColumns().past(row)
    assert "United Kingdom, Kent, London, VPN" in text
    assert "Nothing known" not in text


def test_past__of_an_answer_that_never_changed_is_empty():
    assert AnswerColumns().past(a_row()) == ""
