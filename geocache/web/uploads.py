"""What is handed in with a form: kept in memory, unpacked, never more than a few megabytes."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from io import BytesIO
from typing import IO, Any, Final

from django.core.exceptions import RequestDataTooBig, ValidationError
from django.core.files.uploadedfile import InMemoryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from geocache.addresses import handed_in, text_files
from geocache.exceptions import UnreadableText

# A whole form: its text, and a file.
MAX_FORM_BYTES: Final = 12 * 2**20
MAX_FILE_BYTES: Final = handed_in.MAX_BYTES

TOO_LARGE: Final = _("This file has more than 2 MB. Use manage.py lookup_geo --file for it.")
BROKEN: Final = _("This file cannot be unpacked.")

View = Callable[..., HttpResponseBase]


class BoundedUploadHandler(FileUploadHandler):
    """Keep what is handed in in memory, and no more of it than a page reads.

    The check of CSRF reads a form before it refuses it: with Django's own handlers a stranger fills
    the temporary folder, and what a killed worker has written stays there.
    """

    def handle_raw_input(
        self,
        input_data: IO[bytes],  # noqa: ARG002 - Django's signature
        META: dict[str, str],  # noqa: ARG002, N803 - Django's signature
        content_length: int,
        boundary: str,  # noqa: ARG002 - Django's signature
        encoding: str | None = None,  # noqa: ARG002 - Django's signature
    ) -> None:
        """Refuse a form that says it is too large before any of it is read."""
        if content_length > MAX_FORM_BYTES:
            raise RequestDataTooBig(f"The form has more than {MAX_FORM_BYTES} bytes.")

    def new_file(self, *given: Any, **named: Any) -> None:
        """Begin a file."""
        super().new_file(*given, **named)
        self.kept = BytesIO()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Keep one byte more than is allowed, which tells that the file is too large."""
        self.kept.write(raw_data[: max(MAX_FILE_BYTES + 1 - start, 0)])

    def file_complete(self, file_size: int) -> "UploadedFile[Any]":
        """Return the file, with its size as it was sent."""
        self.kept.seek(0)
        return InMemoryUploadedFile(
            self.kept,
            self.field_name,
            self.file_name or "",
            self.content_type or "",
            file_size,
            self.charset,
            self.content_type_extra,
        )


def bounded_uploads(view: View) -> View:
    """Have a view take uploads with ``BoundedUploadHandler``, also in projects that have others.

    A handler has to be set before the form is read, and the check of CSRF reads it: that is done
    inside.
    """
    checked = csrf_protect(view)

    @csrf_exempt
    @wraps(view)
    def bounded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        bound_uploads(request)
        return checked(request, *args, **kwargs)

    return bounded


def bound_uploads(request: HttpRequest) -> None:
    """Set the handler, unless a middleware of the project has read the form already."""
    with suppress(AttributeError):
        request.upload_handlers = [BoundedUploadHandler(request)]


def read_text(file: "UploadedFile[Any]") -> str:
    """Return the text of a file; raise ``ValidationError`` when it is too large or broken."""
    if (file.size or 0) > MAX_FILE_BYTES:
        raise ValidationError(TOO_LARGE)
    try:
        text = text_files.read_all(file, MAX_FILE_BYTES)
    except UnreadableText as error:
        raise ValidationError(BROKEN) from error
    if text is None:
        raise ValidationError(TOO_LARGE)
    return text
