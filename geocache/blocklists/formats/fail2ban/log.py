"""What fail2ban 0.8 to 1.1 logs as banned: to a file of its own, to syslog, to the journal.

Other programs write what strangers send them into the same syslog. So the beginning of a line tells
who wrote it, and a ban must be all that a line of fail2ban says.
"""

import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final, NamedTuple

from geocache.blocklists.formats.base import BadLine, Element, Found, Head, Options, Source
from geocache.exceptions import ImportFailed

LEVEL: Final = r"(?:CRITICAL|ERROR|WARNING|NOTICE|INFO|DEBUG):? {1,40}"
# `2026-01-02 03:04:05,678 fail2ban.actions        [811]: NOTICE  `; not each version writes all.
OWN: Final = re.compile(
    r"(?:\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:,\d{1,6})? )?"
    rf"fail2ban(?:\.\w{{1,40}})* {{0,40}}(?:\[\d{{1,10}}\])?: {{1,40}}(?:{LEVEL})?"
)
# `web-1  | `, as Docker Compose puts the name of a container in front.
CONTAINER: Final = re.compile(r"[\w.-]{1,100} {1,40}\| ")
# The time of syslog, of rsyslog and `docker logs -t`, of `journalctl -o` short-unix and
# short-monotonic. None has a comma, as the log of a program has that writes no host or tag.
TIME: Final = re.compile(
    r"(?:<\d{1,3}>)?(?P<version>1 )?"
    r"(?:[^\W\d]{2,5}\.? {1,2}\d{1,2} (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,9})?"
    r"|(?:[^\W\d]{2,4}\.? )?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,9})?"
    r"(?:Z|[+-]\d\d:?\d\d| (?:[A-Z]{2,5}|[+-]\d\d)(?= ))?"
    r"|\d{9,12}\.\d{1,9}|\[ {0,12}\d{1,10}\.\d{1,9}\])"
    r" (?:std(?:out|err) [FP] )?"
)
# A word without brackets, and without a colon at its end: those are a program's.
HOST: Final = re.compile(r"(?!\S*[\[\]])(?!\S*: )\S{1,255} {1,2}")
PROGRAM: Final = re.compile(r"(?P<name>[^\s\[\]:]{1,128})(?:\[[^\s\]]{1,20}\])?:(?: {1,40}|$)")
# Of RFC 5424: a program, its process, an identifier, structured data.
NEW_PROGRAM: Final = re.compile(
    r"(?P<name>[^\s\[\]]{1,128}) \S{1,128} \S{1,32} (?:-|(?:\[[^\]]{0,1000}\]){1,9}) \ufeff?"
)
FAIL2BAN: Final = re.compile(r"fail2ban(?:[-.@]\w{1,40})*")
REPEATED: Final = re.compile(rf"message repeated \d{{1,9}} times: \[ ?(?:{LEVEL})?(.*)\]")
BAN: Final = re.compile(r"\[([^\]]{1,200})\] (?:(?:Restore )?Ban|Reban)(?: (.*))?")
# What `Reban` adds.
BY_ACTION: Final = re.compile(r", action '[^']*'$")
# The end of a line that begins like none of the above.
CUT_BAN: Final = re.compile(r"\] (?:(?:Restore )?Ban|Reban) [0-9a-fA-F.:/]{1,50}$")
CUT_LETTERS: Final = 100
MAX_ADDRESS_LETTERS: Final = 100
# By how many lines of syslog that are not fail2ban's a log is told.
LOG_SHARE: Final = 0.5


class Writer(Enum):
    """Who wrote a line."""

    FAIL2BAN = "fail2ban"
    OTHER = "another program"
    UNKNOWN = "a line that begins like no log"


class Written(NamedTuple):
    """A line of a log: who wrote it, and what it says after its time, host and program."""

    writer: Writer
    message: str = ""


class Fail2banLog:
    """Takes ``Ban``, ``Restore Ban`` and ``Reban``; what else is logged is not a ban."""

    name = "fail2ban.log"

    def matches(self, head: Head) -> bool:
        """Tell a log by a line of fail2ban's, or by lines of syslog before the first of those."""
        writers = [_written(line).writer for line in head.lines if line.strip()]
        if Writer.FAIL2BAN in writers:
            return True
        return writers.count(Writer.OTHER) > LOG_SHARE * len(writers)

    def read(self, source: Source, options: Options) -> Iterator[Found]:
        is_fail2bans, line_count = False, 0
        for line_count, line in source.lines():
            if "ban" not in line and "Ban" not in line:
                continue
            written = _written(line)
            is_fail2bans |= written.writer is Writer.FAIL2BAN
            yield from _banned(line_count, written, options.own_jail)
        if line_count and not is_fail2bans and not options.allow_empty:
            raise ImportFailed("it is a log, but none of its lines was written by fail2ban")


def _banned(number: int, written: Written, own_jail: str) -> Iterator[Found]:
    if written.writer is Writer.UNKNOWN:
        # Cut off by a rotation, for example: whether fail2ban wrote it is not known.
        if CUT_BAN.search(written.message[-CUT_LETTERS:]):
            yield BadLine(number, written.message, "does not begin as a line of fail2ban's log")
    elif found := written.writer is Writer.FAIL2BAN and BAN.fullmatch(written.message):
        jail, what = found[1], BY_ACTION.sub("", found[2] or "").strip()
        if jail == own_jail:
            return
        if 0 < len(what) <= MAX_ADDRESS_LETTERS:
            yield Element(number, (what,))
        else:
            yield BadLine(number, written.message)


def _written(line: str) -> Written:
    # A file that is emptied while a program writes to it begins with NUL.
    text = line.strip("\0\ufeff \t\r\n")
    if text.startswith("{"):
        return _read_json(text)
    if found := CONTAINER.match(text):
        text = text[found.end() :]
    return _read_line(text)


def _read_line(text: str) -> Written:
    if own := OWN.match(text):
        return _said(text[own.end() :])
    if not (time := TIME.match(text)):
        return Written(Writer.UNKNOWN, text)
    starts = [time.end()]
    if host := HOST.match(text, time.end()):
        starts.append(host.end())
    for start in starts:
        if own := OWN.match(text, start):
            return _said(text[own.end() :])
        if program := PROGRAM.match(text, start):
            return _by(program["name"], text[program.end() :])
    if time["version"] and host and (program := NEW_PROGRAM.match(text, host.end())):
        return _by(program["name"], text[program.end() :])
    return Written(Writer.UNKNOWN, text)


def _read_json(text: str) -> Written:
    """Read a line of ``journalctl -o json``, or of the log file of a container."""
    try:
        held = json.loads(text)
    except (ValueError, RecursionError):
        return Written(Writer.UNKNOWN, text)
    if isinstance(held.get("log"), str) and "stream" in held:
        return _read_line(held["log"].strip())
    if "MESSAGE" not in held:
        return Written(Writer.UNKNOWN)
    return _by(str(held.get("SYSLOG_IDENTIFIER", "")), _text(held["MESSAGE"]))


def _text(message: Any) -> str:
    """Return what the journal holds; a list of bytes if it is not all printable."""
    if isinstance(message, list):
        try:
            return bytes(message).decode(errors="replace")
        except (TypeError, ValueError):
            return ""
    return str(message)


def _by(program: str, text: str) -> Written:
    if not FAIL2BAN.fullmatch(program):
        return Written(Writer.OTHER)
    # What it writes to its standard output has its own beginning within that of the journal.
    own = OWN.match(text) or re.match(LEVEL, text)
    return _said(text[own.end() :] if own else text)


def _said(message: str) -> Written:
    repeated = REPEATED.fullmatch(message)
    return Written(Writer.FAIL2BAN, (repeated[1] if repeated else message).strip())
