import time

import pytest

from geocache.addresses.extraction import find_addresses, is_network


def found(line: str) -> list[str]:
    return [str(address) for address in find_addresses(line)]


@pytest.mark.parametrize(
    "text",
    [
        "203.0.113.5",
        "203.0.113.5:443",
        "203.0.113.5.",
        "203.0.113.5, and",
        "(203.0.113.5)",
        "[203.0.113.5]:443",
        "<203.0.113.5>",
        '"203.0.113.5"',
        "'203.0.113.5'",
        "http://203.0.113.5/24",
        "http://user:word@203.0.113.5:80/x",
        "https://example.org/lookup/203.0.113.5",
        "client=unknown[203.0.113.5]",
        "SRC=203.0.113.5 TTL=64",
        "from outside:203.0.113.5/51234 to",
        "client @0x7f 203.0.113.5#53211 (example.org)",
        "java.net /203.0.113.5:8080",
        "::ffff:203.0.113.5 there",
        "203.0.113.5\ttab",
    ],
)
def test_find__ipv4_as_people_and_logs_write_it(text):
    assert found(text) == found(f"a {text}") == ["203.0.113.5"]


@pytest.mark.parametrize(
    "text",
    [
        "2001:db8::1",
        "2001:DB8::1",
        "2001:db8:0:0:0:0:0:1",
        "[2001:db8::1]",
        "[2001:db8::1]:443",
        "http://[2001:db8::1]:8080/x",
        "(2001:db8::1)",
        '"2001:db8::1"',
        "2001:db8::1, and",
        "2001:db8::1.",
        "2001:db8::1: denied",
        "2001:db8::1.443 >",
        "2001:db8::1.443: ack",
        "rhost=2001:db8::1;",
    ],
)
def test_find__ipv6_as_people_and_logs_write_it(text):
    assert found(text) == found(f"a {text}") == ["2001:db8::1"]


def test_find__zone_of_a_link_local_address_is_left_out():
    assert found("listen on fe80::1%eth0, and") == ["fe80::1"]


@pytest.mark.parametrize(
    "text",
    [
        "at 12:34:56",
        "2026-01-31T12:34:56.789+01:00",
        "a 12:34::56",
        "version 1.2.3.4",
        "version=1.2.3.4",
        "v1.2.3.4",
        "Chrome/120.0.0.0 Safari/537.36",
        '"Mozilla/5.0 (X11) Chrome/120.0.0.0"',
        "openssl-1.1.1.1",
        "1.2.3.4-rc1",
        "1.2.3.4.5",
        "1.2.3",
        "256.1.1.1",
        "01.02.03.04",
        "1.2.3.4.example.org",
        "1.2.3.4_x",
        "00:11:22:33:44:55",
        "id 00:11:22:33:44:55:66:77",
        "std::string",
        "dead::beef is a word",
        "x dead::beef",
        "f :: a -> b",
        "mask 255.255.255.0",
        "block 203.0.113.0/24 now",
        "route 2001:db8::/32 now",
        "x[1::2]",
        "１.2.3.4",  # noqa: RUF001 - a digit that is not ASCII
        "",
        "   ",
    ],
)
def test_find__versions_times_networks_and_names_are_none(text):
    # In the middle of a line; at its beginning a whole word counts as what it can be read as.
    assert found(f"x {text}") == []


@pytest.mark.parametrize("text", ["::", "240.0.0.1", "dead::beef", "fe80::1%eth0", "1::2"])
def test_find__first_word_is_what_it_can_be_read_as(text):
    assert len(found(f"  {text} # mine")) == 1


def test_find__several_stand_in_their_order_and_repeat():
    line = "1.1.1.1-1.1.1.2 2001:db8::1,1.1.1.1;9.9.9.9"
    assert found(line) == ["1.1.1.1", "1.1.1.2", "2001:db8::1", "1.1.1.1", "9.9.9.9"]


def test_find__first_word_is_not_found_again():
    assert found("9.9.9.9") == found("9.9.9.9 said no") == ["9.9.9.9"]


@pytest.mark.parametrize(("text", "told"), [("1.2.3.0/24", True), ("1.2.3.4", False), ("x", False)])
def test_is_network__needs_a_prefix_length(text, told):
    assert is_network(text) is told


@pytest.mark.parametrize(
    "part",
    [
        "1.1.1.",
        ":",
        "a:",
        "a",
        "::%",
        "1::2%a",
        "a/1.1.1.1",
        "/1.1.1.1",
        "1.1.1.1-",
        "1.1.1.1:",
        "[",
        "9.9.9.9/",
        " ",
        "/",
        "::1.1.1.1.",
        "%",
        "%25",
        "%2520",
        "\\",
        "[.",
        "9[.]",
        "[:]",
        "&quot;",
        "v=1.1.1.1 ",
        "id 1.1.1.1 ",
        "is no ",
        "a+a/1.1.1.1",
        "ipv6:",
        "1:2:3:4:5:6:7:8:9 ",
        "x:1",
        "1.1.1.1.1 > ",
        "\x1b[",
    ],
)
def test_find__time_grows_with_the_length_only(part):
    # Ten times the text may take ten times as long: a hundred times would be its square. Twice
    # that for a machine that does other things as well.
    short, long = part * (4_000 // len(part)), part * (40_000 // len(part))
    assert seconds(long) < 20 * seconds(short) + 0.05


def seconds(text: str) -> float:
    times = []
    for _ in range(2):
        started = time.process_time()
        find_addresses(text)
        times.append(time.process_time() - started)
    return min(times)


LIST_LINE = "81.2.69.142\n"
SHAPES = [
    ":\n",
    "1:\n",
    ": ",
    "x\n",
    ":1.1.1.999 ",
    "a:\n",
    "::1%a\n",
    ".:. ",
    "1.1.1.1-",
    "v=1.1.1.1 ",
]
SHAPES += ["%20", "9[.]", "\\", "::1:99999 ", "1:2:3:4:5:6:7:8:9 ", "+a/1.1.1.1"]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_find__hostile_text_takes_at_most_a_few_times_as_long_as_a_list(shape):
    # Shapes that took up to 35 times as long; a factor of six leaves room for a busy machine.
    assert seconds_by_line(shape) < 6 * seconds_by_line(LIST_LINE)


def seconds_by_line(part: str) -> float:
    lines = (part * (200_000 // len(part))).splitlines()
    times = []
    for _ in range(3):
        started = time.process_time()
        for line in lines:
            find_addresses(line)
        times.append(time.process_time() - started)
    return min(times)
