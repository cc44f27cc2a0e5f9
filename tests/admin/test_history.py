from datetime import timedelta

import pytest
from django.urls import reverse

from geocache.models import AnswerHistory
from tests.factories import LONDON, NOON, a_row

pytestmark = pytest.mark.django_db


def test_page__has_every_column_and_begins_with_address_and_time(superuser):
    a_row(LONDON)
    a_row(LONDON, city="Leeds", resolved_at=NOON + timedelta(days=1))
    url = reverse("admin:geocache_answerhistory_change", args=[AnswerHistory.objects.get().pk])
    fields = superuser.get(url).context["adminform"].fieldsets[0][1]["fields"]
    assert tuple(fields[:4]) == ("address", "valid_from", "valid_until", "network")
    columns = {one.name for one in AnswerHistory._meta.get_fields()}
    assert set(fields) == columns - {"id", "kinds"} | {"change"}


def test_list__says_what_changed_and_is_filtered_by_it(superuser):
    a_row(LONDON)
    a_row(LONDON, city="Leeds", asn=1, resolved_at=NOON + timedelta(days=1))
    a_row(LONDON, city="Leeds", asn=2, resolved_at=NOON + timedelta(days=2))
    url = reverse("admin:geocache_answerhistory_changelist")

    def listed(query):
        return [row.change_kinds for row in superuser.get(url + query).context["cl"].result_list]

    assert listed("") == [("operator",), ("city",)]
    assert listed("?kind=city") == [("city",)]
    assert listed("?kind=traits") == []
    assert '<td class="field-change">operator</td>' in superuser.get(url).text


@pytest.mark.parametrize("query", ["?kind=mood", "?kind=%00", "?kind="])
def test_list__unknown_kind_filters_nothing(superuser, query):
    a_row(LONDON)
    a_row(LONDON, city="Leeds", resolved_at=NOON + timedelta(days=1))
    page = superuser.get(reverse("admin:geocache_answerhistory_changelist") + query)
    assert len(page.context["cl"].result_list) == 1
