import json
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocache.blocklists.formats.base import Element, Format, Head, Options, Remark, Source
from geocache.blocklists.formats.nftables.format import NFTABLES
from geocache.blocklists.formats.nftables.json_format import NFTABLES_JSON
from geocache.exceptions import ImportFailed
from tests.conftest import require
from tests.support.firewall_lists import addresses, merged, networks, output_of, ranges, works
from tests.support.formats import TextSource, elements_of, is_read_or_said, seconds_of

HOSTILE_LETTERS = 2**18
LIST_ALL = "nft -f - && nft list ruleset"
NEW_SET = "table inet f { set b { type ipv4_addr\n}\n}"
LIST_JSON = "nft -f - && nft -j list ruleset"
# What nft takes between double quotes.
COMMENTS = st.text(
    st.characters(
        min_codepoint=32,
        max_codepoint=0x2FF,
        exclude_characters='"',
        include_characters="\n",
        exclude_categories=["Cc"],
    ),
    min_size=1,
    max_size=40,
)


@pytest.fixture(scope="module")
def nft() -> None:
    require(works("nft list ruleset"), "nft in a network namespace of its own")


@pytest.mark.parametrize(
    "first",
    [
        "#!/usr/sbin/nft -f\nflush ruleset",
        "add table inet f",
        "create table inet f",
        "delete table inet f",
        "destroy table inet f",
        "flush table inet f",
        "flush set inet f b",
        "delete set inet f b",
        "list ruleset",
        "reset counters",
        "define x = 9.9.9.9",
        "undefine x",
        "add rule inet f c ip saddr { 8.8.8.8, 1.1.1.1 } drop",
        "insert rule inet f c ip saddr { 8.8.8.8, 1.1.1.1 } drop",
        "replace rule inet f c handle 4 ip saddr { 8.8.8.8, 1.1.1.1 } drop",
        "add chain inet f c { type filter hook input priority 0; policy drop; }",
        "add map inet f m { type ipv4_addr : verdict; elements = { 8.8.8.8 : drop }; }",
        "table inet f { }",
        "table inet f { chain c { ip saddr { 8.8.8.8, 1.1.1.1 } accept; } }",
        "\n# a comment of the publisher\n\nflush ruleset",
    ],
)
@pytest.mark.parametrize("separator", ["\n", " ; "])
def test_nftables__any_command_may_come_first(first: str, separator: str) -> None:
    last = "add element inet f b { 9.9.9.9, 1.0.0.1,\n 208.67.222.222 }\n"
    text = f"{first}{separator}{last}"
    assert NFTABLES.matches(Head(tuple(text.split("\n"))))
    found = [
        one for one in NFTABLES.read(TextSource(text), Options()) if not isinstance(one, Remark)
    ]
    assert [one.texts for one in found if isinstance(one, Element)] == [
        ("9.9.9.9",),
        ("1.0.0.1",),
        ("208.67.222.222",),
    ]
    assert len(found) == 3


@pytest.mark.parametrize(
    "line", ["9.9.9.9", "table of contents", "1.0.0.1 table", "add 9.9.9.9", "elements", "a,set"]
)
def test_nftables__other_lists_are_not_taken_for_it(line: str) -> None:
    if line != "table of contents":
        assert not NFTABLES.matches(Head((line,)))
    assert not NFTABLES_JSON.matches(Head((line,)))


def test_nftables__shows_what_the_publisher_says() -> None:
    text = "# Empty since April\ntable inet f {\n set b { type ipv4_addr; }\n}\n"
    assert list(NFTABLES.read(TextSource(text), Options())) == [Remark("Empty since April")]


def test_nftables__own_table_is_said() -> None:
    text = "table inet geocache { set blocked4 { type ipv4_addr; elements = { 9.9.9.9 } } }"
    found = list(NFTABLES.read(TextSource(text), Options(own_table="inet geocache")))
    assert [type(one) for one in found] == [Remark]


@pytest.mark.parametrize("form", [NFTABLES, NFTABLES_JSON])
@pytest.mark.parametrize("text", ["", "\n", "{", "}", '{"nftables": []}', '{"nftables": 3}', "[]"])
def test_nftables__odd_files_give_no_entries(form: Format, text: str) -> None:
    assert not [one for one in form.read(TextSource(text), Options()) if isinstance(one, Element)]


@settings(deadline=None)
@given(st.text(st.sampled_from('{}[];,="#\\\n $.-/:1a') | st.characters(), max_size=200))
def test_nftables__any_text_is_read_or_said(text: str) -> None:
    for form in (NFTABLES, NFTABLES_JSON):
        for beginning in ("", "elements = {", '{"nftables":[{"set":{"elem":['):
            assert is_read_or_said(form, beginning + text)


HOSTILE = (
    "add element ",
    "{",
    "}",
    '"',
    "#",
    "elements = {",
    "elements = {1.1.1.1,",
    "define a = {1.1.1.1,$a,$a}\n",
    "add element f b {1.1.1.1}\ndelete element f b {0.0.0.0/0}\n",
    "add element f b {0.0.0.0/0}\ndelete element f b {1.1.1.1}\n",
    "flush ruleset\nadd element f b {1.1.1.1}\n",
    "table f {",
    "table f {set b {",
    "\\",
    "9",
    " ",
    "counter ",
    "1.1.1.1 . ",
    'comment "',
)


@pytest.mark.slow
@pytest.mark.parametrize("unit", HOSTILE)
def test_nftables__time_is_linear(unit: str) -> None:
    # The pattern before needed 68 s for a megabyte of the first, and four times that for two.
    assert seconds_of(NFTABLES, unit * (HOSTILE_LETTERS // len(unit))) < 8


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["[", "{", '"', '{"set":', '[{"elem":', '"1.1.1.1",', "9", " "])
@pytest.mark.parametrize("beginning", ["", '{"nftables":[{"set":{"elem":['])
def test_nftables_json__time_is_linear(beginning: str, unit: str) -> None:
    assert seconds_of(NFTABLES_JSON, beginning + unit * (HOSTILE_LETTERS // len(unit))) < 8


def test_nftables__definitions_do_not_multiply() -> None:
    lines = ["define a0 = { 1.1.1.1, 1.1.1.2 }"]
    lines += [f"define a{count} = {{ $a{count - 1}, $a{count - 1} }}" for count in range(1, 64)]
    text = "\n".join([*lines, "add element inet f b $a63"])
    with pytest.raises(ImportFailed, match="its definitions hold more than 1,000,000 elements"):
        list(NFTABLES.read(TextSource(text), Options()))


class ManyElements(Source):
    """Very many elements on one line."""

    def chunks(self) -> Iterator[str]:
        yield "table inet f { set b { type ipv4_addr; elements = { "
        for high in range(1, 21):
            yield "".join(f"1.{high}.{low >> 8}.{low & 255}, " for low in range(2500))
        yield "} } }"


@pytest.mark.slow
def test_nftables__memory_is_flat() -> None:
    tracemalloc.start()
    try:
        count = sum(1 for _ in NFTABLES.read(ManyElements(), Options()))
        assert count == 50_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def elements(version: int) -> st.SearchStrategy[list[str]]:
    one = addresses(version) | networks(version) | ranges(version)
    return st.lists(one, min_size=1, max_size=30)


@pytest.mark.slow
@pytest.mark.usefixtures("nft")
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(elements(4), elements(6))
def test_nftables__reads_the_intervals_that_nft_writes(four: list[str], six: list[str]) -> None:
    script = "".join(
        f"add table inet f; add set inet f v{version} {{ type ipv{version}_addr; "
        "flags interval; auto-merge; }\n"
        f"add element inet f v{version} {{ {', '.join(texts)} }}\n"
        for version, texts in ((4, four), (6, six))
    )
    given_texts = merged([*four, *six])
    assert merged(one.texts[0] for one in elements_of(NFTABLES, script)) == given_texts
    for form, command in ((NFTABLES, LIST_ALL), (NFTABLES_JSON, LIST_JSON)):
        found = elements_of(form, output_of(command, script))
        assert merged(one.texts[0] for one in found) == given_texts


@pytest.mark.slow
@pytest.mark.usefixtures("nft")
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from([4, 6]).flatmap(
        lambda version: st.tuples(
            st.just(version),
            st.dictionaries(
                addresses(version),
                st.tuples(
                    st.sampled_from(["", " timeout 1h", " timeout 3d4h expires 2h"]),
                    st.sampled_from(["", " counter packets 3 bytes 4"]),
                    st.none() | COMMENTS,
                ),
                min_size=1,
                max_size=20,
            ),
        )
    )
)
def test_nftables__reads_the_elements_that_nft_writes(
    drawn: tuple[int, dict[str, tuple[str, str, str | None]]],
) -> None:
    version, held = drawn
    parts = [
        f"{text}{counter}{timeout}" + (f' comment "{comment}"' if comment else "")
        for text, (timeout, counter, comment) in held.items()
    ]
    script = (
        f"table inet f {{ set b {{ type ipv{version}_addr; flags timeout; counter\n"
        f" elements = {{ {', '.join(parts)} }}\n}}\n}}\n"
    )
    expected = {text: (comment or "").replace("\n", " ") for text, (_, _, comment) in held.items()}
    assert {one.texts[0]: one.comment for one in elements_of(NFTABLES, script)} == expected
    for form, command in ((NFTABLES, LIST_ALL), (NFTABLES_JSON, LIST_JSON)):
        found = elements_of(form, output_of(command, script), set_name="inet f b")
        assert {one.texts[0]: one.comment for one in found} == expected


@st.composite
def commands(draw: st.DrawFn) -> str:
    """Draw commands that nft takes: it deletes only what is there."""
    held: set[str] = set()
    lines = [NEW_SET]
    for _ in range(draw(st.integers(1, 15))):
        pool = st.sampled_from([f"1.0.0.{number}" for number in range(1, 7)])
        texts = draw(st.sets(pool, min_size=1, max_size=4))
        match draw(st.sampled_from(["add", "add", "create", "delete", "flush", "flush ruleset"])):
            case "delete" if held & texts:
                lines.append(f"delete element inet f b {{ {', '.join(held & texts)} }}")
                held -= texts
            case "flush":
                lines.append("flush set inet f b")
                held.clear()
            case "flush ruleset":
                lines += ["flush ruleset", NEW_SET]
                held.clear()
            case "create" if texts - held:
                lines.append(f"create element inet f b {{ {', '.join(texts - held)} }}")
                held |= texts
            case _:
                lines.append(f"add element inet f b {{ {', '.join(texts)} }}")
                held |= texts
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.usefixtures("nft")
@settings(deadline=None, max_examples=25)
@given(commands())
def test_nftables__a_script_leaves_what_nft_then_has(script: str) -> None:
    left = elements_of(NFTABLES, output_of(LIST_ALL, script))
    assert {one.texts for one in elements_of(NFTABLES, script)} == {one.texts for one in left}


def test_nftables_json__sorted_keys_make_no_difference() -> None:
    text = {"nftables": [{"set": {"elem": ["9.9.9.9"], "family": "ip", "name": "b", "table": "f"}}]}
    assert elements_of(NFTABLES_JSON, json.dumps(text), set_name="ip f b") == [
        Element(1, ("9.9.9.9",))
    ]
