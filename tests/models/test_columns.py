from datetime import timedelta

import pytest

from geocache.location import FIELDS
from geocache.models import AnswerHistory, GeoCache
from geocache.models.columns import AnswerFields
from tests.factories import LONDON, NOON, a_location, a_row


def test_answer_columns__are_the_fields_of_an_answer_but_its_address():
    columns = {field.name for field in AnswerFields._meta.get_fields()}
    assert columns == {*FIELDS} - {"address"}


@pytest.mark.django_db
@pytest.mark.parametrize("model", [GeoCache, AnswerHistory])
def test_to_location__as_an_answer_for_itself_and_for_a_neighbour(model):
    a_row(LONDON)
    if model is AnswerHistory:
        a_row(LONDON, city="Leeds", resolved_at=NOON + timedelta(days=1))
    row = model.objects.get()
    assert row.to_location() == a_location(LONDON)
    assert row.to_location("81.2.69.1") == a_location("81.2.69.1")
    assert str(row) == LONDON
