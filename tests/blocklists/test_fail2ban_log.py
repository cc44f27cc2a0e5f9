"""The files of ``formats/fail2ban_log``, and what hides among the lines of others."""

import json
import time
from pathlib import Path

import pytest

from geocache.addresses.blocks import parse_entries
from geocache.blocklists.formats.base import BadLine, Element, Head, Options
from geocache.blocklists.formats.fail2ban.log import Fail2banLog
from geocache.exceptions import ImportFailed, InvalidAddress
from tests.support.formats import TextSource

FOLDER = Path(__file__).parent / "formats" / "fail2ban_log"
LOG = Fail2banLog()


def head_of(text: str, *, line_count: int = 60) -> Head:
    return Head(tuple(text.splitlines()[:line_count]))


def said(text: str, options: Options) -> set[str]:
    """Return what a reader gives as the lines of an ``.expected`` file."""
    lines = set()
    try:
        for found in LOG.read(TextSource(text), options):
            if isinstance(found, BadLine):
                lines.add(f"! {found.line_number}")
            elif isinstance(found, Element):
                try:
                    lines |= {entry.text for one in found.texts for entry in parse_entries(one)}
                except InvalidAddress:
                    lines.add(f"! {found.line_number}")
    except ImportFailed as error:
        lines.add(f"? {error}")
    return lines


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.expected")))
def test_log__holds_what_stands_beside_it(name: str) -> None:
    path = FOLDER / name.removesuffix(".expected")
    options = path.with_name(f"{path.name}.options")
    given = json.loads(options.read_text()) if options.exists() else {}
    expected = (FOLDER / name).read_text().splitlines()
    read = said(path.read_text(), Options(**given))
    if expected[0].startswith("? "):
        assert expected[0][2:] in read.pop()
    else:
        assert read == set(expected)
    assert LOG.matches(head_of(path.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "9.9.9.9\n1.0.0.1 # seen by fail2ban.actions\n",
        "# 2026-01-02 03:04:05,678 fail2ban.actions [1]: NOTICE [sshd] Ban 9.9.9.9\n1.0.0.1\n",
        '{"cidr":"9.9.9.0/24"}\n{"cidr":"1.0.0.0/24"}\n',
        '{"type":"metadata"}\n{"MESSAGE":1}\n',
        "2026-01-02T03:04:05Z,9.9.9.9,ssh\n",
        "[\n{not json\n",
        "",
    ],
)
def test_log__is_not_what_others_write(text: str) -> None:
    assert not LOG.matches(head_of(text))


def test_log__without_lines_of_fail2ban_can_be_accepted() -> None:
    text = (FOLDER / "no_fail2ban.log").read_text()
    assert list(LOG.read(TextSource(text), Options(allow_empty=True))) == []


def test_log__file_that_was_emptied_while_it_was_written_begins_with_nul() -> None:
    line = "2026-01-02 03:04:05,678 fail2ban.actions        [811]: NOTICE  [sshd] Ban 9.9.9.9"
    assert said("\0" * 4096 + line, Options()) == {"9.9.9.9"}


@pytest.mark.parametrize(
    "text",
    [
        "Ban [" * 200_000,
        "] Ban " * 200_000,
        "Jan  2 03:04:05 host fail2ban[1]: [" + "Ban ] " * 200_000,
        "Jan  2 03:04:05 host fail2ban[1]: message repeated 2 times: [" * 20_000 + "Ban",
        "Jan  2 03:04:05 " + "Ban:" * 250_000,
        "<29>1 2026-01-02T03:04:05Z host fail2ban 1 - " + "[Ban]" * 200_000,
        "2026-01-02 03:04:05,678 fail2ban" + ".actions" * 100_000 + "Ban",
        "Ban" + " " * 1_000_000,
        '{"MESSAGE":' + "[" * 500_000 + "Ban",
        '{"Ban":' * 150_000,
    ],
)
def test_log__line_of_a_megabyte_takes_no_time(text: str) -> None:
    started = time.thread_time()
    found = list(LOG.read(TextSource(text), Options(allow_empty=True)))
    assert time.thread_time() - started < 1
    assert not any(isinstance(one, Element) for one in found)
