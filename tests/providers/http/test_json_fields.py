import pytest

from geocache.providers.http.json_fields import READERS, has_path, pick
from geocache.providers.http.json_schema import Service

RECORD = {"a": {"b": ["x", {"c": 1}]}, "loc": "51.5,-0.1", "null": None}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", RECORD),
        ("a.b.0", "x"),
        ("a.b.1.c", 1),
        ("loc.1", "-0.1"),
        ("null", None),
        *(
            (path, None)
            for path in ("b", "a.b.2", "a.b.-1", "a.b.c", "loc.2", "loc.x", "null.a", ".")
        ),
    ],
)
def test_pick__what_is_at_a_path_or_nothing(path, value):
    assert pick(RECORD, path) == value


@pytest.mark.parametrize(
    ("path", "is_there"),
    [
        ("null", True),
        ("a.b", True),
        ("loc.0", True),
        ("b", False),
        ("a.c", False),
        ("loc.2", False),
    ],
)
def test_has_path__null_is_something(path, is_there):
    assert has_path(RECORD, path) is is_there


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("asn", "AS64500 Test Networks", 64500),
        ("asn", "as64500", 64500),
        ("asn", "64500", 64500),
        ("asn", 64500, 64500),
        ("asn", "AS99999999999", None),
        ("asn", "ASPEN", None),
        ("asn", 64500.5, None),
        ("organization", "AS64500 Test Networks", "Test Networks"),
        ("organization", "AS64500", ""),
        ("organization", "Aspen AS1", "Aspen AS1"),
        ("latitude", " 51.5 ", 51.5),
        ("latitude", "90.1", None),
        ("latitude", "nan", None),
        ("longitude", -180, -180.0),
        ("accuracy_radius_km", "10", 10),
        ("accuracy_radius_km", -1, None),
        ("postal_code", 1010, "1010"),
        ("postal_code", True, ""),
        ("country_code", "gb", "GB"),
        ("country_code", "GBR", ""),
        ("city", "Z\0\ud800rich", "Zrich"),
    ],
)
def test_readers__coerce_or_leave_out(field, value, read):
    assert READERS[field](value) == read


def test_service__its_version_is_that_of_what_is_read():
    one = Service(fields={"city": "a", "region": "b"})
    assert one.version() == Service(fields={"region": "b", "city": "a"}).version()
    assert one.version() != Service(fields={"city": "b", "region": "a"}).version()
