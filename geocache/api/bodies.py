"""What programs send: addresses as JSON, or any text that they are to be found in."""

import io
import json
from typing import Any, Final

import msgspec
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest

from geocache.addresses import handed_in, text_files
from geocache.api.errors import ApiError
from geocache.api.operations import ENCODINGS, JSON, TEXT
from geocache.api.schemas import LookupRequest
from geocache.exceptions import UnreadableText

# A thousand of the longest addresses, each with spaces and an escape or two.
MAX_JSON_BYTES: Final = 250_000
# Of a text, as it is sent and unpacked.
MAX_TEXT_BYTES: Final = handed_in.MAX_BYTES


def refuse_large(request: HttpRequest) -> None:
    """Refuse a body by the length that it says; more than that is not read of it."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length) > _max_bytes(request):
        raise _too_large(request)


def addresses(request: HttpRequest) -> list[str]:
    """Return the addresses in a body of JSON; raise ``ApiError``."""
    if request.content_type != JSON:
        message = f"Send a body of the type {JSON}, or {TEXT}."
        raise ApiError("unsupported_media_type", message, {"Accept": f"{JSON}, {TEXT}"})
    try:
        given = json.loads(_body(request))
    except (ValueError, RecursionError) as error:
        raise ApiError("invalid_json", f"The body is not JSON: {error}.") from error
    try:
        return msgspec.convert(given, LookupRequest).addresses
    except msgspec.ValidationError as error:
        if _has_too_many(given):
            raise too_many_addresses() from error
        message = 'Send {"addresses": [...]} with the addresses as texts.'
        raise ApiError("invalid_body", message) from error


def text(request: HttpRequest) -> str:
    """Return the text of a body, unpacked; raise ``ApiError``."""
    if request.headers.get("Content-Encoding", "").strip().lower() not in ENCODINGS:
        message = "Send the text as it is, or with Content-Encoding: gzip."
        raise ApiError("unsupported_encoding", message, {"Accept-Encoding": "gzip"})
    try:
        found = text_files.read_all(io.BytesIO(_body(request)), MAX_TEXT_BYTES)
    except UnreadableText as error:
        raise ApiError("invalid_body", f"The body cannot be read: {error}.") from error
    if found is None:
        raise _too_large(request)
    return found


def too_many_addresses() -> ApiError:
    """Return what to tell a caller that has sent more than one request may hold."""
    message = f"Send at most {handed_in.MAX_ADDRESSES} addresses."
    return ApiError("too_many_addresses", message)


def _has_too_many(given: Any) -> bool:
    found = given.get("addresses") if isinstance(given, dict) else None
    return isinstance(found, list) and len(found) > handed_in.MAX_ADDRESSES


def _body(request: HttpRequest) -> bytes:
    try:
        if len(request.body) <= _max_bytes(request):
            return request.body
    except RequestDataTooBig:
        pass  # larger than the project takes at all
    raise _too_large(request)


def _max_bytes(request: HttpRequest) -> int:
    return MAX_TEXT_BYTES if request.content_type == TEXT else MAX_JSON_BYTES


def _too_large(request: HttpRequest) -> ApiError:
    return ApiError("body_too_large", f"Send at most {_max_bytes(request)} bytes.")
