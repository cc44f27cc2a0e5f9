from typing import Any

import pytest

from geocache.models.changes import (
    CITY,
    COMPARED,
    COUNTRY,
    KINDS,
    OPERATOR,
    REGION,
    TRAITS,
    has_moved,
    kinds_of_change,
)

LONDON = {
    "country_code": "GB",
    "region_code": "ENG",
    "region": "England",
    "city": "London",
    "asn": 1,
    "organization": "A",
    "source": "City 2026-01-01",
}
NOTHING = {"country_code": "", "region_code": "", "region": "", "city": "", "asn": None}


def answer(**fields: Any) -> list[Any]:
    """Return the values of ``COMPARED``, of which nothing is known but what is given."""
    empty = dict.fromkeys(COMPARED, "") | dict.fromkeys(("asn", "latitude", "longitude"))
    return [*(empty | fields).values()]


def kinds(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, ...]:
    found = kinds_of_change(answer(**old), answer(**new))
    assert has_moved(answer(**old), answer(**new)) is bool(found)
    return found


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ()),
        ({"country_code": "FR"}, (COUNTRY,)),
        ({"region_code": "SCT", "region": "Scotland"}, (REGION,)),
        ({"city": "Leeds"}, (CITY,)),
        ({"asn": 2}, (OPERATOR,)),
        ({"traits": ",hosting,"}, (TRAITS,)),
        ({"country_code": "FR", "city": "Paris", "asn": 2}, (COUNTRY, CITY, OPERATOR)),
        ({"source": "City 2026-02-01", "latitude": 1.0}, ()),
        (NOTHING | {"organization": ""}, (COUNTRY, REGION, CITY, OPERATOR)),
        ({"city": ""}, (CITY,)),
        ({"region_code": "", "region": ""}, (REGION,)),
        ({"asn": None, "organization": ""}, (OPERATOR,)),
    ],
)
def test_kinds_of_change__of_a_known_place(
    fields: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert kinds(LONDON, LONDON | fields) == expected


def test_kinds_of_change__all_at_once_in_one_order() -> None:
    new = {"country_code": "FR", "region": "X", "city": "Y", "asn": 9, "traits": ",vpn,"}
    assert kinds(LONDON | {"region_code": ""}, LONDON | new) == KINDS


def test_kinds_of_change__to_know_more_is_none_but_of_the_country() -> None:
    bare = {"country_code": "GB", "source": "Country 2026-01-01"}
    full = LONDON | {"traits": ",hosting,", "source": "City 2026-01-01, ASN 2026-01-01"}
    assert kinds(bare, full) == ()
    assert kinds({}, bare) == (COUNTRY,)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (("BY", "Bavaria"), ("BY", "Bayern"), ()),
        (("02", "Bavaria"), ("BY", "Bavaria"), ()),
        (("by", "Bavaria"), ("BY", ""), ()),
        (("", "Île-de-France"), ("IDF", "Ile de France"), ()),
        (("BY", ""), ("", "Bavaria"), ()),
        (("BY", "Bavaria"), ("HE", "Hesse"), (REGION,)),
        (("", "Bavaria"), ("HE", "Hesse"), (REGION,)),
        (("BY", ""), ("HE", ""), (REGION,)),
        (("", ""), ("HE", "Hesse"), ()),
    ],
)
def test_kinds_of_change__region(old: Any, new: Any, expected: tuple[str, ...]) -> None:
    names = ("region_code", "region")
    assert kinds(dict(zip(names, old, strict=True)), dict(zip(names, new, strict=True))) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((1, "Telekom"), (1, "Deutsche Telekom AG"), ()),
        ((1, "Telekom"), (1, ""), ()),
        ((1, "Telekom"), (2, "Telekom"), (OPERATOR,)),
        ((None, "Telekom"), (1, "Telekom"), ()),
        ((1, "Telekom"), (None, "TELEKOM"), ()),
        ((None, "Telekom, Inc."), (None, "Telekom Inc"), ()),
        ((None, "Telekom"), (None, "Vodafone"), (OPERATOR,)),
        ((None, "Telekom"), (3, "Vodafone"), (OPERATOR,)),
        ((1, ""), (None, "Vodafone"), ()),
        ((0, ""), (None, ""), (OPERATOR,)),
        ((None, ""), (1, "Telekom"), ()),
    ],
)
def test_kinds_of_change__operator(old: Any, new: Any, expected: tuple[str, ...]) -> None:
    names = ("asn", "organization")
    assert kinds(dict(zip(names, old, strict=True)), dict(zip(names, new, strict=True))) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Berlin (Mitte)", "Berlin (Wedding)"),
        ("Berlin (Mitte)", "Berlin"),
        ("Berlin", "Berlin (Bezirk Mitte"),
        ("Berlin Mitte", "Berlin"),
        ("Berlin", "Berlin-Mitte"),
        ("Berlin (Mitte)", "Berlin Wedding"),
        ("Frankfurt am Main", "Frankfurt"),
        ("London [Camden]", "LONDON"),
        ("Zürich", "Zurich"),
        ("ZÜRICH", "zu\u0308rich"),
        ("Malmø", "Malmo"),
        ("Łódź", "Lodz"),
        ("Straße", "Strasse"),
        ("\u0130stanbul", "Istanbul"),
        ("Saint-Denis", "St. Denis"),
        ("L\u2019Aquila", "L'Aquila"),
        ("Winston-Salem", "Winston Salem"),
        ("Орёл", "Орел"),
    ],
)
def test_kinds_of_change__one_city_by_its_name(old: str, new: str) -> None:
    assert kinds({"city": old}, {"city": new}) == ()
    assert kinds({"city": new}, {"city": old}) == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("London", "Leeds"),
        ("San Francisco", "San Jose"),
        ("York", "New York"),
        ("Newcastle", "Newport"),
        ("Berlin", "Berlingen"),
        ("(Mitte)", "(Wedding)"),
        ("東京", "京都"),
        ("कि", "का"),
        ("かき", "がき"),
        ("?", "!"),
    ],
)
def test_kinds_of_change__two_cities_by_their_names(old: str, new: str) -> None:
    assert kinds({"city": old}, {"city": new}) == (CITY,)


def at(city: str, latitude: float, longitude: float, **fields: Any) -> dict[str, Any]:
    return {"city": city, "latitude": latitude, "longitude": longitude, **fields}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # In another language, and a suburb.
        (at("Munich", 48.137, 11.575), at("München", 48.139, 11.58), ()),
        (at("Schwabing", 48.16, 11.58), at("Munich", 48.137, 11.575), ()),
        # 27 km from each other.
        (at("Berlin", 52.52, 13.405), at("Potsdam", 52.39, 13.065), (CITY,)),
        # Districts are never as far apart, whatever stands before.
        (at("Santa Cruz", 36.97, -122.03), at("Santa Cruz Island", 34.0, -119.7), (CITY,)),
        # In brackets is a part of it, even so.
        (at("Moscow (Zelenograd)", 55.99, 37.21), at("Moscow", 55.75, 37.61), ()),
        # One answer without coordinates.
        (at("Munich", 48.137, 11.575), {"city": "München"}, (CITY,)),
        (at("Munich", 48.137, 11.575), {"city": "Schwabing", "latitude": 48.1}, (CITY,)),
        # Around the date line.
        (at("Here", 0.0, 179.99), at("There", 0.0, -179.99), ()),
        # Neighbours in two regions.
        (
            at("Ulm", 48.4, 9.99, region="Baden-Württemberg"),
            at("Neu-Ulm", 48.39, 10.0, region="Bavaria"),
            (REGION, CITY),
        ),
        # A border that was drawn again, and another city of the same name.
        (
            at("Caen", 49.18, -0.37, region="Basse-Normandie"),
            at("Caen", 49.18, -0.36, region="Normandy"),
            (REGION,),
        ),
        (
            at("Springfield", 39.8, -89.64, region="Illinois"),
            at("Springfield", 42.1, -72.59, region="Massachusetts"),
            (REGION, CITY),
        ),
        (
            {"city": "Frankfurt (Oder)", "region": "Brandenburg"},
            {"city": "Frankfurt (Main)", "region": "Hesse"},
            (REGION, CITY),
        ),
        (
            at("Simferopol", 44.95, 34.1, country_code="UA"),
            at("Simferopol", 44.96, 34.1, country_code="RU"),
            (COUNTRY,),
        ),
        (at("X", float("nan"), 0.0), at("Y", 0.0, 0.0), (CITY,)),
    ],
)
def test_kinds_of_change__city_by_its_place(
    old: dict[str, Any], new: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert kinds(old, new) == expected


def labelled(traits: Any, source: str = "City 2026-01-01") -> dict[str, Any]:
    return {"traits": traits, "source": source}


BOTH = "City 2026-02-01, Anonymous-IP 2026-02-03"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (labelled(""), labelled(",vpn,", "City 2026-02-01"), (TRAITS,)),
        (labelled(",vpn,"), labelled("", "City 2026-02-01"), (TRAITS,)),
        (labelled(",hosting,vpn,"), labelled(",vpn,", "City"), (TRAITS,)),
        (labelled(("hosting", "vpn")), labelled(("vpn", "hosting")), ()),
        (labelled(",vpn,"), labelled(("vpn",)), ()),
        # Of a product that is new, or took the place of another.
        (labelled(""), labelled(",vpn,", BOTH), ()),
        (labelled(",hosting,"), labelled(",hosting,vpn,", BOTH), ()),
        (labelled(",anonymous_vpn,"), labelled(",vpn,", "Privacy 2026-01-01"), ()),
        # The others have it still, but not of this address.
        (labelled(",vpn,", BOTH), labelled("", "City 2026-02-01"), (TRAITS,)),
    ],
)
def test_kinds_of_change__traits(
    old: dict[str, Any], new: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert kinds(old, new) == expected


def test_kinds_of_change__traits_by_a_product_that_was_used_already() -> None:
    old, new = answer(**labelled("")), answer(**labelled(",vpn,", BOTH))
    asked: list[str] = []

    def was_used(name: str) -> bool:
        asked.append(name)
        return name == "Anonymous-IP"

    assert kinds_of_change(old, new, was_used) == (TRAITS,)
    assert asked == ["Anonymous-IP"]
