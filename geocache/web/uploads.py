"""The text of a file that somebody hands in, plain or gzipped, never more than a few megabytes."""

import gzip
import zlib
from typing import Any, BinaryIO, Final, cast

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

# Unpacked. To find addresses takes up to two seconds a megabyte where all is nearly an address.
MAX_FILE_BYTES: Final = 2 * 2**20
GZIP_MAGIC: Final = b"\x1f\x8b"
UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")

TOO_LARGE: Final = _("This file has more than 2 MB. Use manage.py lookup_geo --file for it.")
BROKEN: Final = _("This file cannot be unpacked.")


def read_text(file: "UploadedFile[Any]") -> str:
    """Return the text of a file; raise ``ValidationError`` when it is too large or broken."""
    if (file.size or 0) > MAX_FILE_BYTES:
        raise ValidationError(TOO_LARGE)
    data: bytes = file.read()
    if data.startswith(GZIP_MAGIC):
        file.seek(0)
        data = _unpacked(cast(BinaryIO, file))
    # As Windows writes a text; all else is UTF-8, or has its addresses in ASCII all the same.
    encoding = "utf-16" if data.startswith(UTF_16_MARKS) else "utf-8-sig"
    return data.decode(encoding, errors="replace")


def _unpacked(file: BinaryIO) -> bytes:
    try:
        data = gzip.GzipFile(fileobj=file).read(MAX_FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValidationError(BROKEN) from error
    if len(data) > MAX_FILE_BYTES:
        raise ValidationError(TOO_LARGE)
    return data
