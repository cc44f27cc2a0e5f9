"""What a program is told when it gets no answer: each code with its status, in one table."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from django.http import JsonResponse


class Kind(NamedTuple):
    """The status of a code, what it means, and the headers that come with it."""

    status: int
    meaning: str
    headers: tuple[str, ...] = ()


KINDS: Final[Mapping[str, Kind]] = {
    "invalid_address": Kind(400, "The last part of the path is not one IP address."),
    "invalid_day": Kind(400, "`on` is not one day such as 2026-01-31."),
    "invalid_language": Kind(400, "`lang` is not one language such as de."),
    "invalid_json": Kind(400, "The body is not JSON."),
    "invalid_body": Kind(400, "The body has another shape than described, or is damaged."),
    "bad_request": Kind(400, "The request is damaged, or has too many parameters."),
    "not_authenticated": Kind(
        401, "A token is needed, or the session of a user.", ("WWW-Authenticate",)
    ),
    "invalid_token": Kind(401, "The token is invalid or was revoked.", ("WWW-Authenticate",)),
    "forbidden": Kind(403, "The account lacks a permission, which the message names."),
    "csrf_failed": Kind(403, "A session without its CSRF token."),
    "not_found": Kind(404, "The API has no such path."),
    "not_known_then": Kind(404, "Nothing was known about the address on that day."),
    "method_not_allowed": Kind(
        405, "Another method; `Allow` names those that there are.", ("Allow",)
    ),
    "too_many_addresses": Kind(413, "More addresses than one request may ask for."),
    "too_many_lines": Kind(413, "More lines than one request may send."),
    "body_too_large": Kind(413, "More bytes than one request may send."),
    "unsupported_media_type": Kind(
        415, "Another `Content-Type`; `Accept` names those taken.", ("Accept",)
    ),
    "unsupported_encoding": Kind(
        415,
        "Another `Content-Encoding`; `Accept-Encoding` names those taken.",
        ("Accept-Encoding",),
    ),
    "too_many_requests": Kind(
        429, "Too many addresses in a period; see `Retry-After`.", ("Retry-After",)
    ),
    "database_unavailable": Kind(
        503, "The database cannot be asked; see `Retry-After`.", ("Retry-After",)
    ),
}


class ApiError(Exception):
    """What a program is told when it gets no answer: a code of ``KINDS``, a line for people."""

    def __init__(self, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = KINDS[code].status
        self.code = code
        self.headers = headers or {}

    def to_plain(self) -> dict[str, str]:
        """Return code and message."""
        return {"code": self.code, "message": str(self)}

    def to_response(self) -> JsonResponse:
        """Return the whole response."""
        return JsonResponse({"error": self.to_plain()}, status=self.status, headers=self.headers)
