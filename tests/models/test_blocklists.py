import pytest
from django.utils.translation import override

from geocache.models import ListedAddress


@pytest.mark.parametrize(
    ("value", "english", "german"),
    [
        (9.0, "9", "9"),
        (0.5, "0.5", "0,5"),
        (1234567.25, "1,234,567.25", "1.234.567,25"),
        (0.1 + 0.2, "0.3", "0,3"),
        (-3.0, "-3", "-3"),
        (-0.0, "0", "0"),
        (1e-7, "0.0000001", "0,0000001"),
        (1.5e300, "1.5e+300", "1.5e+300"),
        (None, "", ""),
    ],
)
def test_shown_score__has_no_more_digits_than_it_needs(value, english, german):
    with override("en"):
        assert ListedAddress(score=value).shown_score == english
    with override("de"):
        assert ListedAddress(score=value).shown_score == german
