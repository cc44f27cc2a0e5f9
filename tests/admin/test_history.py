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
    assert set(fields) == {one.name for one in AnswerHistory._meta.get_fields()} - {"id"}
