import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocache.blocklists.formats.base import BadLine, Element, Head, Options, Remark
from geocache.blocklists.formats.ipset.format import IPSET
from geocache.exceptions import ImportFailed
from tests.conftest import require
from tests.support.firewall_lists import addresses, merged, networks, output_of, works
from tests.support.formats import TextSource, elements_of, is_read_or_said, seconds_of

HOSTILE_LETTERS = 2**18
OUTPUTS = ("ipset save", "ipset list", "ipset list -output xml")
# What ipset takes between double quotes.
COMMENTS = st.text(
    st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"'),
    min_size=1,
    max_size=40,
)


@pytest.fixture(scope="module")
def ipset() -> None:
    require(works("ipset list"), "ipset in a network namespace of its own")


@pytest.mark.parametrize(
    "line",
    [
        "9.9.9.9",
        "add 9.9.9.9",
        "create something new",
        "flush the cache, 9.9.9.9",
        "Name, Address",
        "add element inet f b { 9.9.9.9 }",
        "flush ruleset inet",
        "<html>",
        '[{"name": "a", "ip": "9.9.9.9"}]',
    ],
)
def test_ipset__other_lists_are_not_taken_for_it(line: str) -> None:
    assert not IPSET.matches(Head((line,)))


def test_ipset__shows_what_the_publisher_says() -> None:
    text = "# Empty since April\ncreate b hash:ip\n"
    assert list(IPSET.read(TextSource(text), Options())) == [Remark("Empty since April")]


@settings(deadline=None)
@given(st.text(st.sampled_from('"[]{}<>&:, \n/-#a1.') | st.characters(codec="utf-8"), max_size=200))
def test_ipset__any_text_is_read_or_said(text: str) -> None:
    for beginning in ("", "add s ", "Name: s\nMembers:\n", "<ipset>", '[{"members":['):
        assert is_read_or_said(IPSET, beginning + text)


HOSTILE = (
    "add ",
    '"',
    'add s "',
    "add s 1.1.1.1\nflush\n",
    "add s 0.0.0.0/0\ndel s 1.1.1.1\n",
    "swap a b\n",
    "rename a b\nrename b a\n",
    "create a hash:ip\nadd a 1.1.1.1\nrename a b\n",
    "comment ",
    "<",
    "<a>",
    "<ipset>",
    "<ipset><member><elem>",
    "[",
    '[{"members":[',
)


@pytest.mark.slow
@pytest.mark.parametrize("unit", HOSTILE)
def test_ipset__time_is_linear(unit: str) -> None:
    assert seconds_of(IPSET, unit * (HOSTILE_LETTERS // len(unit))) < 8


def test_ipset__a_document_type_is_refused() -> None:
    entities = '<!ENTITY a0 "9.9.9.9">' + "".join(
        f'<!ENTITY a{count} "&a{count - 1};&a{count - 1};">' for count in range(1, 64)
    )
    text = f"<!DOCTYPE ipsets [{entities}]><ipsets><ipset>&a63;</ipset></ipsets>"
    with pytest.raises(ImportFailed, match="document type"):
        list(IPSET.read(TextSource(text), Options()))


@pytest.mark.slow
@pytest.mark.usefixtures("ipset")
@settings(deadline=None, max_examples=25)
@given(
    st.sets(addresses(4) | networks(4), min_size=1, max_size=30),
    st.sets(addresses(6) | networks(6), min_size=1, max_size=30),
    st.sampled_from(OUTPUTS),
)
def test_ipset__reads_the_networks_that_ipset_writes(
    four: set[str], six: set[str], output: str
) -> None:
    script = "create four hash:net\ncreate six hash:net family inet6\n"
    script += "".join(f"add four {text}\n" for text in four)
    script += "".join(f"add six {text}\n" for text in six)
    assert {one.texts[0] for one in elements_of(IPSET, script)} == four | six
    found = elements_of(IPSET, output_of(f"ipset restore && {output}", script))
    # A single address may be written as a network.
    assert merged(one.texts[0] for one in found) == merged(four | six)
    assert len(found) == len(four | six)


@pytest.mark.slow
@pytest.mark.usefixtures("ipset")
@settings(deadline=None, max_examples=25)
@given(
    st.dictionaries(
        addresses(4),
        st.tuples(
            st.sampled_from(["", " timeout 4000"]),
            st.sampled_from(["", " packets 3 bytes 4"]),
            st.none() | COMMENTS,
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from(["hash:ip", "hash:ip,port", "hash:net,iface"]),
    st.sampled_from(OUTPUTS),
)
def test_ipset__reads_the_elements_that_ipset_writes(
    held: dict[str, tuple[str, str, str | None]], kind: str, output: str
) -> None:
    rest = {"hash:ip": "", "hash:ip,port": ",tcp:80", "hash:net,iface": ",eth0"}[kind]
    script = f"create s {kind} timeout 500 counters comment\n" + "".join(
        f"add s {text}{rest}{timeout}{counters}" + (f' comment "{comment}"\n' if comment else "\n")
        for text, (timeout, counters, comment) in held.items()
    )
    expected = {text: comment or "" for text, (_, _, comment) in held.items()}
    assert {one.texts[0]: one.comment for one in elements_of(IPSET, script)} == expected
    found = elements_of(IPSET, output_of(f"ipset restore && {output}", script), set_name="s")
    assert {one.texts[0]: one.comment for one in found} == expected


SETS = st.sampled_from(["a", "b", "c"])
MEMBERS = st.sampled_from(
    ["1.0.0.0/29", "1.0.0.0/30", "1.0.0.4/31", *(f"1.0.0.{n}" for n in range(1, 7))]
)


def commands(kind: str) -> st.SearchStrategy[str]:
    renamed = f"rename {{0}} d\ncreate {{0}} {kind}\nadd {{0}} {{1}}\ndestroy d"
    return (
        st.builds("add -exist {} {}".format, SETS, MEMBERS)
        | st.builds("add {} {} -exist".format, SETS, MEMBERS)
        | st.builds("del -exist {} {}".format, SETS, MEMBERS)
        | st.builds("flush {}".format, SETS)
        | st.builds("swap {} {}".format, SETS, SETS)
        | st.builds(renamed.format, SETS, MEMBERS)
        | st.builds(f"destroy {{0}}\n-exist create {{0}} {kind}".format, SETS)
    )


@pytest.mark.slow
@pytest.mark.usefixtures("ipset")
@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(["hash:ip", "hash:net"]).flatmap(
        lambda kind: st.tuples(st.just(kind), st.lists(commands(kind), min_size=1, max_size=20))
    )
)
def test_ipset__a_script_leaves_what_ipset_then_has(drawn: tuple[str, list[str]]) -> None:
    kind, lines = drawn
    script = "\n".join([*(f"create {name} {kind}" for name in "abc"), *lines, ""])
    saved = output_of("ipset restore && ipset save", script)
    for name in "abc":
        left = elements_of(IPSET, saved, set_name=name)
        found = list(IPSET.read(TextSource(script), Options(set_name=name)))
        # Of addresses that were added as a network some may be deleted: that is said.
        said = [one.text for one in found if isinstance(one, BadLine)]
        texts = [one.texts[0] for one in found if isinstance(one, Element)]
        if kind == "hash:net":
            assert not said
            assert set(texts) == {one.texts[0] for one in left}
        elif said:
            assert merged([*texts, *said]) == merged([*said, *(one.texts[0] for one in left)])
        else:
            assert merged(texts) == merged(one.texts[0] for one in left)
