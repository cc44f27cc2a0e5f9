from datetime import datetime
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Network, ip_address

import pytest

from geocache.exceptions import InvalidAddress, ProviderError
from geocache.location import Subdivision, dump_locations, load_locations
from geocache.testing.answers import Answers, Prepared
from tests.factories import LONDON, NOON, a_location


def found(given, address=LONDON):
    answer = Answers(given).find(ip_address(address))
    return None if answer is None else answer.location(address)


@pytest.mark.parametrize(
    ("key", "address"),
    [
        (LONDON, LONDON),
        (f" {LONDON} ", LONDON),
        (f"::ffff:{LONDON}", LONDON),
        (IPv4Address(LONDON), LONDON),
        (IPv4Interface(f"{LONDON}/24"), LONDON),
        (IPv4Network("81.2.69.0/24"), LONDON),
        ("81.2.69.7/24", LONDON),
        ("81.2.69.0/255.255.255.0", LONDON),
        ("0.0.0.0/0", LONDON),
        ("::ffff:81.2.69.0/120", LONDON),
        ("2001:DB8::/32", "2001:db8::1"),
        (IPv6Network("::/0"), "2001:db8::1"),
    ],
)
def test_find__takes_any_form_of_an_address_or_network(key, address):
    assert found({key: "GB"}, address).country_code == "GB"


def test_find__narrowest_network_counts():
    given = {"81.0.0.0/8": "FR", LONDON: "GB", "81.2.69.0/24": "DE", "::/0": "US"}
    assert found(given).country_code == "GB"
    assert found(given, "81.2.69.1").country_code == "DE"
    assert found(given, "81.3.0.1").country_code == "FR"
    assert found(given, "9.9.9.9") is None


@pytest.mark.parametrize("key", ["London", "", "1.2.3.4.5", "1.2.3.0/33", b"1.2.3.4", 7, None])
def test_key__that_is_no_address(key):
    with pytest.raises(InvalidAddress, match="is neither an IP address nor a network") as raised:
        Answers({key: "GB"})
    assert "\n" not in str(raised.value)


def test_key__twice():
    with pytest.raises(ValueError, match=r"81\.2\.69\.142/32 is named twice, also as '::ffff"):
        Answers({LONDON: "GB", f"::ffff:{LONDON}": "FR"})


def test_answers__have_to_be_a_dict():
    with pytest.raises(TypeError, match="needs a dict of answers by address or network, not 'GB'"):
        Answers("GB")


def test_location__of_fields():
    location = found({LONDON: {"city": "London", "country_code": "gb", "latitude": 51}})
    assert (location.city, location.country_code, location.latitude) == ("London", "GB", 51)
    assert location
    assert location.source == "override_locations"


def test_location__of_a_network_names_it():
    assert found({"81.2.69.0/24": "GB"}).network == "81.2.69.0/24"
    assert found({"81.2.69.0/24": {"network": "81.2.0.0/16"}}).network == "81.2.0.0/16"
    # No provider is believed about half of the internet.
    assert found({"0.0.0.0/1": "GB"}, "9.9.9.9").network == ""


def test_location__of_a_location_has_the_address_that_is_asked_for():
    assert found({"9.0.0.0/8": a_location()}, "9.9.9.9") == a_location("9.9.9.9")


def test_location__of_a_location_keeps_how_it_came():
    stale = a_location(is_stale=True, is_renewed=True)
    assert found({LONDON: stale}) == stale


def test_location__none_is_not_found():
    assert found({LONDON: None}).reason == "not_found"


def test_location__failure_is_raised_each_time():
    answer = Prepared(LONDON, ProviderError("down"))
    for _ in range(2):
        with pytest.raises(ProviderError, match=r"^down$"):
            answer.location(LONDON)


@pytest.mark.parametrize(("failure", "said"), [(OSError("cut"), "cut"), (KeyError(), "KeyError")])
def test_location__other_failure_is_one_of_a_provider(failure, said):
    with pytest.raises(ProviderError, match=said) as raised:
        found({LONDON: failure})
    assert raised.value.__cause__ is failure


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ({"contry": "GB"}, ValueError, "has no field contry. Known: resolved_at, network, country"),
        ({"address": LONDON}, ValueError, "has no field address"),
        ({7: "GB"}, ValueError, "has no field 7"),
        ({"city": None}, TypeError, "city of 81.2.69.142 is None; it has to be a text"),
        ({"asn": "1"}, TypeError, "asn of 81.2.69.142 is '1'; it has to be a whole number"),
        ({"asn": True}, TypeError, "it has to be a whole number"),
        ({"latitude": "5"}, TypeError, "it has to be a number, or None"),
        ({"resolved_at": "today"}, TypeError, "it has to be a datetime with a time zone"),
        ({"resolved_at": datetime(2026, 1, 1)}, TypeError, "it has to be a datetime with a time"),
        ({"latitude": 91}, ValueError, "latitude of 81.2.69.142 is 91"),
        ({"latitude": float("nan")}, ValueError, "latitude of 81.2.69.142 is nan"),
        ({"longitude": -181.0}, ValueError, "longitude"),
        ({"accuracy_radius_km": 1 << 15}, ValueError, "accuracy_radius_km"),
        ({"asn": -1}, ValueError, "asn"),
        ({"city": "x" * 201}, ValueError, "city"),
        ({"city": "\0"}, ValueError, "city"),
        ({"country_code": "GBR"}, ValueError, "'GBR' of 81.2.69.142 is not a country's code"),
        ({"network": "London"}, ValueError, "network of 81.2.69.142 is 'London', which is not a"),
        ({"network": "81.2.69.0/33"}, ValueError, "which is not a network"),
        (a_location(city=5), TypeError, "city of 81.2.69.142 is 5; it has to be a text"),
        (a_location(city="\0"), ValueError, "city of 81.2.69.142 is"),
        (a_location(latitude=91.0), ValueError, "latitude of 81.2.69.142 is 91.0"),
        (a_location(country_code="GBR"), ValueError, "'GBR' of 81.2.69.142 is not a country's"),
        (a_location(network="London"), ValueError, "which is not a network"),
        (a_location(resolved_at=datetime(2026, 1, 1)), TypeError, "a datetime with a time zone"),
        ("London", ValueError, "'London' of 81.2.69.142 is not a country's code of two letters"),
        ("", ValueError, "'' of 81.2.69.142 is not a country's code"),
        ("ÄÖ", ValueError, "is not a country's code"),
        (5, TypeError, "is 5; it has to be a Location, a dict of its fields"),
        (["GB"], TypeError, "it has to be a Location"),
        (ProviderError, TypeError, "Give an instance of it"),
        (KeyboardInterrupt(), TypeError, "it has to be a Location"),
    ],
)
def test_answer__that_cannot_be_one(answer, kind, said):
    with pytest.raises(kind) as raised:
        Answers({LONDON: answer})
    assert said in str(raised.value)
    assert str(raised.value).startswith("override_locations: ")
    assert "\n" not in str(raised.value)


def test_answer__may_say_when_and_why():
    location = found({LONDON: {"resolved_at": NOON, "reason": "unavailable"}})
    assert (location.resolved_at, location.reason) == (NOON, "unavailable")


def test_answer__with_all_that_a_location_can_say():
    given = {
        "country_code": "FR",
        "traits": ["hosting_provider", "anonymous", "anonymous"],
        "subdivisions": [Subdivision("FR-IDF", "Ile-de-France")],
        "details": {"user_count": 3},
        "is_anycast": True,
    }
    with pytest.raises(ValueError, match="has no field is_anycast"):
        Answers({LONDON: given})
    del given["is_anycast"]
    location = found({LONDON: given})
    assert location.traits == ("anonymous", "hosting_provider")
    assert location.subdivisions == (Subdivision("FR-IDF", "Ile-de-France"),)
    assert location.details == {"user_count": 3}
    assert (location.continent_code, location.is_in_european_union) == ("EU", True)
    assert load_locations(dump_locations([location])) == [location]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"traits": "anonymous"}, TypeError),
        ({"traits": [1]}, TypeError),
        ({"subdivisions": ["England"]}, TypeError),
        ({"details": {"a": {}}}, TypeError),
        ({"details": {1: 2}}, TypeError),
        ({"is_in_european_union": 1}, TypeError),
        ({"metro_code": -1}, ValueError),
        ({"region_code": "GB-ENGLAND-X"}, ValueError),
        ({"user_type": "x" * 41}, ValueError),
    ],
)
def test_answer__with_what_a_location_cannot_say(given, kind):
    with pytest.raises(kind, match="override_locations"):
        Answers({LONDON: given})
