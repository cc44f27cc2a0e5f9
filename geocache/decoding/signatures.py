"""What people hand in that is not text: told by how it begins, with what to do instead."""

from typing import Final

# How many bytes of a content are enough.
HEAD_BYTES: Final = 600
UNPACK: Final = "unpack it, and hand in the text inside"
# The offset and the bytes by which it is told, what it is, and what to do.
SIGNATURES: Final = (
    (0, b"PK\x03\x04", "a ZIP archive", UNPACK),
    (0, b"PK\x05\x06", "an empty ZIP archive", UNPACK),
    (0, b"PK\x07\x08", "a ZIP archive", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "packed with zstd", "unpack it with zstd -d"),
    (0, b"\x04\x22\x4d\x18", "packed with lz4", "unpack it with lz4 -d"),
    (0, b"\x89LZO\x00", "packed with lzop", "unpack it with lzop -d"),
    (0, b"LZIP", "packed with lzip", "unpack it with lzip -d"),
    (0, b"\x1f\x9d", "packed with compress", "unpack it with uncompress"),
    (0, b"\x1f\x8b", "packed twice", "unpack it with gunzip"),
    (0, b"BZh", "packed twice", "unpack it with bunzip2"),
    (0, b"\xfd7zXZ\x00", "packed twice", "unpack it with unxz"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (257, b"ustar", "a tar archive", UNPACK),
    (0, b"%PDF-", "a PDF document", "ask its publisher for a text file"),
    (0, b"{\\rtf", "an RTF document", "save it as plain text"),
    (0, b"\xd0\xcf\x11\xe0", "an old Office document", "save it as CSV"),
    (0, b"\x89PNG", "an image", "hand in a text"),
    (0, b"GIF8", "an image", "hand in a text"),
    (0, b"\xff\xd8\xff", "an image", "hand in a text"),
    (0, b"\xd4\xc3\xb2\xa1", "a capture of packets", "hand in a text"),
    (0, b"\x0a\x0d\x0d\x0a", "a capture of packets", "hand in a text"),
    (0, b"\x7fELF", "a program", "hand in a text"),
    (0, b"PAR1", "a Parquet file", "save it as CSV"),
    (0, b"REDIS0", "a dump of Redis", "hand in a text"),
)


def binary_problem(head: bytes) -> str:
    """Return why a content that begins with these bytes is not text, or the empty text."""
    for offset, magic, what, advice in SIGNATURES:
        if head.startswith(magic, offset):
            return f"it is {what}; {advice}"
    return ""
