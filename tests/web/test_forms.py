import gzip
import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from geocache.addresses.handed_in import MAX_ADDRESSES, MAX_LINES
from geocache.web.forms import MAX_CHARACTERS, SHOWN_BAD_LINES, LookupForm
from geocache.web.uploads import MAX_FILE_BYTES


def a_form(text: str) -> LookupForm:
    form = LookupForm({"addresses": text})
    form.is_valid()
    return form


def bad_lines(form: LookupForm) -> list[tuple[int, str]]:
    return [(line.number, line.message()) for line in form.bad_lines]


def test_form__comments_blank_lines_and_what_follows_are_left_out():
    form = a_form("\n# mine\n 8.8.8.8 sshd banned\n\t2001:db8::1#lab\r\n\r\n9.9.9.9\r1.1.1.1")
    assert form.cleaned_data["addresses"] == ["8.8.8.8", "2001:db8::1", "9.9.9.9", "1.1.1.1"]
    assert form.bad_lines == []


def test_form__an_address_counts_once_in_its_first_place():
    assert a_form("8.8.8.8\n9.9.9.9\n8.8.8.8").cleaned_data["addresses"] == ["8.8.8.8", "9.9.9.9"]


def test_form__bad_lines_are_numbered_as_they_are_seen_and_good_ones_stay():
    form = a_form("\n\n8.8.8.8\r\n1.2.3.4.5\n\n9.9.9.9\nexample.org")
    assert form.cleaned_data["addresses"] == ["8.8.8.8", "9.9.9.9"]
    assert bad_lines(form) == [
        (4, "“1.2.3.4.5” is not an IP address."),
        (7, "“example.org” is not an IP address."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "1.2.3.4.5",
        "1.2.3",
        "256.1.1.1",
        "01.02.03.04",
        "１.2.3.4",  # noqa: RUF001 - a digit that is not ASCII
        "١.٢.٣.٤",  # noqa: RUF001 - nor these
        "2001:db8::1%eth0",
        "::g",
        "example.org",
        "-1",
        "0x7f000001",
        "<script>",
        "%s%(text)s",
        "\x00",
        "\ufffe",
        "😀",
    ],
)
def test_form__no_address_is_a_bad_line(text):
    form = a_form(f"9.9.9.9\n{text}")
    assert form.cleaned_data["addresses"] == ["9.9.9.9"]
    [(number, message)] = bad_lines(form)
    assert number == 2
    assert message.endswith("is not an IP address.")


@pytest.mark.parametrize("text", ["192.0.2.0/24", "8.8.8.8/31", "2001:db8::/32", "8.8.8.8/0"])
def test_form__network_is_named_as_one(text):
    assert bad_lines(a_form(text)) == [(1, f"“{text}” is a network; give one address of it.")]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "10.0.0.1"),
        ("::", "::"),
        ("1.2.3.4:80", "1.2.3.4"),
        ("1.2.3.4/32", "1.2.3.4"),
        ("240.0.0.1/32", "240.0.0.1"),
        ("1[.]2[.]3[.]4", "1.2.3.4"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        ("8.8.8.8\x00", "8.8.8.8"),
        ("8.8.8.8\x1b[31m", "8.8.8.8"),
    ],
)
def test_form__unusual_address_is_one(text, address):
    assert a_form(text).cleaned_data["addresses"] == [address]


LOG = """\
Nov 23 10:00:01 web sshd[12]: Failed password from 81.2.69.142 port 41234 ssh2
Traceback (most recent call last):

Nov 23 10:00:02 web sshd[12]: Failed password from 2001:db8::1 port 41234 ssh2
"""


def test_form__addresses_in_a_log_are_found_and_its_other_lines_only_counted():
    form = a_form(LOG)
    assert form.cleaned_data["addresses"] == ["81.2.69.142", "2001:db8::1"]
    assert form.bad_lines == []
    assert form.other_line_count == 1


def test_form__lines_without_address_are_named_when_there_are_no_others():
    form = a_form("Traceback (most recent call last):\n  a file")
    assert bad_lines(form) == [
        (1, "There is no IP address in “Traceback (most recent call last):”."),
        (2, "There is no IP address in “a file”."),
    ]
    assert form.other_line_count == 0


def test_form__word_that_was_meant_as_an_address_is_named_also_with_something_behind_it():
    form = a_form("8.8.8.8\n1.2.3.999 sshd banned\n03:04:05 sshd said")
    assert bad_lines(form) == [(2, "There is no IP address in “1.2.3.999 sshd banned”.")]
    assert form.other_line_count == 1


def test_form__network_is_named_also_with_something_behind_it():
    form = a_form("8.8.8.8\n192.0.2.0/24 sshd banned")
    assert bad_lines(form) == [(2, "“192.0.2.0/24” is a network; give one address of it.")]


def a_form_with_file(data: bytes, text: str = "") -> LookupForm:
    form = LookupForm({"addresses": text}, {"file": SimpleUploadedFile("a.log", data)})
    form.is_valid()
    return form


def test_form__file_takes_the_place_of_the_text():
    form = a_form_with_file(LOG.encode(), "9.9.9.9")
    assert form.cleaned_data["addresses"] == ["81.2.69.142", "2001:db8::1"]


def test_form__addresses_of_a_file_are_shown_as_text_to_go_on_with():
    form = a_form_with_file(LOG.encode())
    assert form["addresses"].value() == "81.2.69.142\n2001:db8::1"


def test_form__file_without_address_names_its_lines():
    assert bad_lines(a_form_with_file(b"x\x00\n")) == [(1, "“x\ufffd” is not an IP address.")]


def test_form__empty_file_leaves_the_text():
    assert a_form_with_file(b"", "9.9.9.9").cleaned_data["addresses"] == ["9.9.9.9"]


def test_form__file_that_is_too_large_is_one_error_and_the_text_is_not_looked_up():
    form = a_form_with_file(b"8.8.8.8\n" * 2**19, "9.9.9.9")
    assert list(form.errors) == ["file"]
    assert "2 MB" in form.errors["file"][0]


def test_form__limit_of_addresses_holds_for_files():
    data = "\n".join(f"20.0.{n >> 8}.{n & 255}" for n in range(MAX_ADDRESSES + 1)).encode()
    [error] = a_form_with_file(data).errors["addresses"]
    assert "1,000" in error


def test_form__long_word_is_shown_short():
    [(_, message)] = bad_lines(a_form("x" * 5_000))
    assert message == f"“{'x' * 40}…” is not an IP address."


@pytest.mark.parametrize("text", ["", " ", "\n\n", "# only a comment", "\t#\n#"])
def test_form__nothing_to_look_up_asks_for_an_address(text):
    form = a_form(text)
    assert form.errors["addresses"] == ["Enter at least one IP address."]


def test_form__missing_field_asks_for_an_address():
    assert LookupForm({}).errors["addresses"] == ["Enter at least one IP address."]


def test_form__only_bad_lines_is_no_second_error():
    form = a_form("x")
    assert form.is_valid()
    assert form.cleaned_data["addresses"] == []


def test_form__limit_of_addresses():
    addresses = [f"20.0.{n >> 8}.{n & 255}" for n in range(MAX_ADDRESSES + 1)]
    assert a_form("\n".join(addresses[:-1])).is_valid()
    [error] = a_form("\n".join(addresses)).errors["addresses"]
    assert "1,000" in error
    assert "lookup_geo --file" in error


def test_form__limit_of_characters():
    assert a_form("8.8.8.8 " + "x" * (MAX_CHARACTERS - 8)).is_valid()
    form = a_form("8.8.8.8 " + "x" * (MAX_CHARACTERS - 7))
    [error] = form.errors["addresses"]
    assert "100,000" in error
    assert "lookup_geo --file" in error


def test_form__text_that_is_too_long_is_not_sent_back():
    assert len(str(a_form("8.8.8.8\n" * 1_000_000))) < 2_000


def test_form__browser_does_not_cut_off_what_is_pasted():
    assert "maxlength" not in str(LookupForm())


def test_form__text_is_shown_again_without_what_no_page_may_hold():
    shown = str(a_form("8.8.8.8\x00\x1b\x85\ufffe <b>"))
    assert "8.8.8.8\ufffd\ufffd\ufffd\ufffd &lt;b&gt;" in shown


def test_form__many_bad_lines_are_counted_and_some_shown():
    form = a_form("x\n" * (SHOWN_BAD_LINES + 5))
    assert form.bad_line_count() == SHOWN_BAD_LINES + 5
    assert len(form.shown_bad_lines()) == SHOWN_BAD_LINES
    assert form.hidden_bad_line_count() == 5
    assert a_form("x").hidden_bad_line_count() == 0


def test_form__limit_of_lines_holds_for_files():
    assert a_form_with_file(b"x\n" * (MAX_LINES - 1)).is_valid()
    [error] = a_form_with_file(b"x\n" * MAX_LINES).errors["addresses"]
    assert "50,000 lines" in error


@pytest.mark.slow
@pytest.mark.parametrize("shape", [b":\n", b"1:\n", b": ", b"x\n", b":1.1.1.999 ", b"\n", b"a/b\n"])
def test_form__hostile_file_takes_at_most_a_few_times_as_long_as_a_list(shape):
    """A gzip of 2,070 bytes held a worker for 22 seconds."""
    hostile = gzip.compress(shape * (MAX_FILE_BYTES // len(shape)))
    # In lines that are searched, as those of a list that begin with the address are not.
    largest_log = b"".join(b"Jan 2 sshd[%d]: from 81.2.69.142\n" % n for n in range(MAX_LINES - 1))
    assert seconds_of(hostile) < 6 * seconds_of(largest_log)


def seconds_of(data: bytes) -> float:
    times = []
    for _ in range(2):
        started = time.process_time()
        a_form_with_file(data)
        times.append(time.process_time() - started)
    return min(times)
