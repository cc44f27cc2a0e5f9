import io
import math
from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocache.addresses.blocks import Entry, parse_entries
from geocache.blocklists.entry_file import read_entries, write_entries


def written(entries: list[Entry]) -> list[Entry]:
    file = io.BytesIO()
    counts = write_entries(entries, file)
    found = list(read_entries(file))
    assert counts == (len(found), sum(one.is_network for one in found))
    return found


def entry(text: str, score: float | None = None, comment: str = "") -> Entry:
    (one,) = parse_entries(text)
    return one._replace(score=score, comment=comment)


networks = st.one_of(st.ip_addresses().map(str), st.ip_addresses(network="10.0.0.0/24").map(str))


@pytest.mark.slow
@given(st.lists(networks, max_size=30))
def test_write_entries__in_order_and_each_once(texts: list[str]) -> None:
    entries = [entry(text) for text in texts]
    assert written(entries) == sorted(set(entries), key=lambda one: one[:2])


def test_write_entries__of_two_the_highest_score_and_the_first_comment() -> None:
    network = "9.9.9.0/24"
    entries = [entry(network), entry(network, 2.5), entry(network, None, "a"), entry("9.9.9.0")]
    entries += [entry(network, 7), entry(network, 3, "b"), entry(network)]
    assert written(entries) == [entry(network, 7, "a"), entry("9.9.9.0")]


def test_write_entries__scores_and_comments_of_any_kind() -> None:
    entries = [
        entry("1.1.1.1", 0.0, "São Paulo\t東\n京\x00\u2028x"),
        entry("2.2.2.2", math.nan, "\ud800"),
        entry("3.3.3.3", -1e300, "x" * 1_000),
        entry("4.4.4.4", math.inf, "  "),
        entry("5.5.5.5", 10**400),
    ]
    assert [one[2:] for one in written(entries)] == [
        ("1.1.1.1", 0.0, "São Paulo 東 京\N{REPLACEMENT CHARACTER} x"),
        ("2.2.2.2", None, "?"),
        ("3.3.3.3", -1e300, "x" * 500),
        ("4.4.4.4", None, ""),
        ("5.5.5.5", None, ""),
    ]


@pytest.mark.slow
def test_read_entries__several_take_turns() -> None:
    def many() -> Iterator[Entry]:
        yield from (entry(f"20.0.{number >> 8}.{number & 255}") for number in range(20_000))

    file = io.BytesIO()
    write_entries(many(), file)
    first, second = read_entries(file), read_entries(file)
    head = list(islice(first, 5_000))
    assert list(second) == list(many())
    assert head + list(first) == list(many())
