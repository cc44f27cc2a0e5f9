import pytest

from geocache.field_sources import GIVEN, MAX_LENGTH, pack, packed_again, unpack

SOURCE = "City 2026-01-01, ASN 2026-01-02"


def test_pack__of_one_source_is_nothing():
    assert pack([]) == ""
    assert pack([["city", "asn"]]) == ""


def test_unpack__each_field_with_its_source():
    packed = pack([["country_code", "city"], ["asn"]])
    assert unpack(SOURCE, packed) == {
        "country_code": "City 2026-01-01",
        "city": "City 2026-01-01",
        "asn": "ASN 2026-01-02",
    }
    assert packed_again(SOURCE, unpack(SOURCE, packed)) == packed


def test_unpack__a_field_that_several_gave():
    packed = pack([["traits"], ["traits", "details"]])
    assert unpack(SOURCE, packed) == {"traits": SOURCE, "details": "ASN 2026-01-02"}
    assert packed_again(SOURCE, unpack(SOURCE, packed)) == packed


@pytest.mark.parametrize("packed", ["", "1", "x.y", "1.2.3", "1.", ".1", "-1.2", "1.2\n", "f" * 99])
def test_unpack__a_text_that_does_not_fit_to_the_sources(packed):
    assert unpack(SOURCE, packed) == {}


def test_unpack__bits_of_a_later_release():
    assert unpack(SOURCE, "80000001.4") == {
        "country_code": "City 2026-01-01",
        "city": "ASN 2026-01-02",
    }


def test_pack__all_fields_of_absurdly_many_sources():
    assert pack([GIVEN] * 50) == ""
    assert 0 < len(pack([GIVEN] * 10)) <= MAX_LENGTH


def test_given__order_is_stored_so_new_ones_are_appended():
    assert GIVEN[:3] == ("country_code", "region", "city")
    assert GIVEN[12:16] == ("asn", "organization", "traits", "isp")
    assert GIVEN[-1] == "mobile_network_code"
