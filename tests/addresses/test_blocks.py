import pytest

from geocache.addresses.blocks import is_entry, parse_entries
from geocache.exceptions import InvalidAddress


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3.4", ["1.2.3.4"]),
        ("::ffff:1.2.3.4", ["1.2.3.4"]),
        ("2A02:6B8::1", ["2a02:6b8::1"]),
        ("1.2.3.0/24", ["1.2.3.0/24"]),
        ("1.2.3.77/24", ["1.2.3.0/24"]),
        ("1.2.3.4/32", ["1.2.3.4"]),
        ("2a02:6b8::/128", ["2a02:6b8::"]),
        ("1.2.3.0-1.2.3.255", ["1.2.3.0/24"]),
        ("1.2.3.4-1.2.3.6", ["1.2.3.4/31", "1.2.3.6"]),
    ],
)
def test_parse_entries__canonical(text: str, expected: list[str]) -> None:
    assert [one.text for one in parse_entries(text)] == expected


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "1.2.3.0/33", "1.2.3.9-1.2.3.1", "1.1.1.1-::1"])
def test_parse_entries__refuses_what_is_none(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_entries(text)
    assert not is_entry(text)


def test_entry__sorts_as_addresses_do() -> None:
    texts = ["1.0.0.0/8", "1.0.0.0/9", "1.0.0.0", "1.0.0.1", "9.0.0.0", "10.0.0.0", "2a02:6b8::"]
    entries = [entry for text in reversed(texts) for entry in parse_entries(text)]
    assert [one.text for one in sorted(entries)] == texts
