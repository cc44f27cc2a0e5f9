"""The SHA-256 of one file, in what the tools that make checksums write, told by the file's name.

Known are ``sha256sum`` (also of names that it escapes), BSD's ``sha256`` and ``shasum --tag``,
``openssl dgst``, PowerShell's ``Get-FileHash`` as table and as list, Windows' ``certutil``, a name
before its sum, and a sum alone, in hexadecimal or base64. The file may be in UTF-16, or signed.
"""

import binascii
import codecs
import re
from base64 import b64decode
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from typing import Final

from geocache.exceptions import UpdateError

# A sum is 64 hexadecimal digits, or 44 signs of base64. What is longer is another algorithm's.
SUM: Final = r"(?:sha256[:-])?(?P<sum>[0-9A-Fa-f]{64}|[A-Za-z0-9+/]{43}=)"
# No more of a line is read than any name needs: each pattern takes time in proportion to it.
MAX_LINE_LENGTH: Final = 5_000
LINES: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # sha256sum: a star before the name stands for binary, a backslash first for escapes.
        rf"(?P<escape>\\?){SUM}(?: [ *]|\s+)(?P<name>\S.*)",
        # BSD and shasum --tag; openssl.
        rf"(?P<escape>\\?)SHA-?2?-?256 ?\((?P<name>.+)\) ?= ?{SUM}",
        # Get-FileHash as a table.
        rf"SHA256\s+{SUM}\s+(?P<name>\S.*)",
        rf"{SUM}",
        # Others: the name first.
        rf"(?P<name>[^\s:=]\S*?)\s{{0,9}}[:=\s]\s{{0,9}}{SUM}",
    )
)
# What is written for a file that has no name: the standard input.
UNNAMED: Final = ("-", "stdin", "(stdin)")
FIELD: Final = re.compile(r"(Algorithm|Hash|Path)\s*:\s*(.*)", re.IGNORECASE)
CERTUTIL: Final = re.compile(r"SHA256 .* (?:file )?(\S+):", re.IGNORECASE)
ESCAPES: Final = {r"\\": "\\", r"\n": "\n", r"\r": "\r"}
BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
SIGNED: Final = "-----BEGIN PGP SIGNED MESSAGE-----"
SIGNATURE: Final = "-----BEGIN PGP SIGNATURE-----"
SHOWN_NAMES: Final = 3


def sha256_of(content: bytes, names: Collection[str]) -> str:
    """Return the sum of the file that one of ``names`` means, which may hold ``*`` for any text.

    Raises ``UpdateError`` where there is none, or more than one.
    """
    found = list(_entries(_decoded(content)))
    own = {value for name, value in found if _is_meant(name, names)}
    others = sorted({name for name, _ in found if name and not _is_meant(name, names)})
    if not own and not others:
        own = {value for _, value in found}
    if len(own) == 1:
        return own.pop()
    if own:
        raise UpdateError("its checksum file holds more than one SHA-256 for it; correct that file")
    if others:
        named = ", ".join(repr(name[:100]) for name in others[:SHOWN_NAMES])
        more = f" and {len(others) - SHOWN_NAMES} more" if len(others) > SHOWN_NAMES else ""
        raise UpdateError(f"its checksum file is one of {named}{more}; correct that file")
    raise UpdateError(
        "its checksum cannot be read: what is at the URL with .sha256 holds no SHA-256 that is "
        "understood; correct or remove it"
    )


def _is_meant(name: str, names: Collection[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in names)


def _decoded(content: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.removeprefix(mark).decode(encoding, "replace")
    return content.decode("utf-8", "replace")


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Give name and sum of each entry; the name is empty where there is none."""
    fields: dict[str, str] = {}
    certutils = ""
    for line in _unsigned(text):
        if found := FIELD.fullmatch(line):
            fields[found[1].lower()] = found[2]
            if fields.keys() >= {"hash", "path"}:
                if fields.get("algorithm", "SHA256").upper() == "SHA256":
                    yield from _entry(f"{fields['hash']}  {fields['path']}")
                fields = {}
        elif found := CERTUTIL.fullmatch(line):
            certutils = found[1]
        elif certutils:
            # Older releases write a space after each byte.
            yield from _entry(f"{line.replace(' ', '')}  {certutils}")
            certutils = ""
        else:
            yield from _entry(line)


def _unsigned(text: str) -> Iterator[str]:
    """Give the lines without comments, and without what a signature adds."""
    # A NUL ends them for sha256sum --zero.
    lines = iter([line.strip() for line in text.replace("\0", "\n").split("\n")])
    for line in lines:
        if line == SIGNATURE:
            return
        if line == SIGNED:
            # Headers, up to an empty line.
            for header in lines:
                if not header:
                    break
        elif line and not line.startswith(("#", ";")) and len(line) <= MAX_LINE_LENGTH:
            yield line


def _entry(line: str) -> Iterator[tuple[str, str]]:
    for pattern in LINES:
        if not (found := pattern.fullmatch(line)):
            continue
        given = found.groupdict()
        name = given.get("name") or ""
        if given.get("escape"):
            name = re.sub(r"\\[\\nr]", lambda escaped: ESCAPES[escaped[0]], name)
        if (value := _hexadecimal(given["sum"])) is not None:
            name = "" if name in UNNAMED else re.split(r"[/\\]", name.rstrip("/\\"))[-1]
            yield name, value
        return


def _hexadecimal(value: str) -> str | None:
    if len(value) == 64:
        return value.lower()
    try:
        return b64decode(value, validate=True).hex()
    except binascii.Error:
        return None
