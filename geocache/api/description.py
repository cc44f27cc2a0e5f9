"""The OpenAPI 3.1 description, made from the operations, types, fields and errors of the API."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

import msgspec

from geocache import __version__, conf
from geocache.api import fields, schemas
from geocache.api.errors import KINDS
from geocache.api.operations import JSON, LOOKUP_ONE, OPERATIONS, Operation, Parameter

OPENAPI: Final = "3.1.0"
REFERENCE: Final = "#/components/schemas/{name}"
MEANING: Final = (
    "Where is this IP address? Errors have a status, and a body with a code and a message. Later "
    "releases may add fields to an answer, and labels to `traits`: ignore what you do not know."
)
SEQUENCE: Final = {"type": "string"}
HEADERS: Final = {
    "ETag": ("Send it as `If-None-Match`: 304 says that nothing has changed.", SEQUENCE),
    "WWW-Authenticate": ("How to authenticate, and what is wrong with the token.", SEQUENCE),
    "Allow": ("The methods that there are.", SEQUENCE),
    "Accept": ("The types of a body that are taken.", SEQUENCE),
    "Accept-Encoding": ("How a text may be packed.", SEQUENCE),
    "Retry-After": ("In how many seconds to ask again.", {"type": "integer", "minimum": 1}),
}
ADDRESS: Final = {
    "name": "address",
    "in": "path",
    "required": True,
    "description": "One IPv4 or IPv6 address in any notation; a zone such as %eth0 is left out.",
    "schema": {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
    "example": "81.2.69.142",
}
TOKEN, SESSION, CSRF = "token", "session", "csrf"

Json = dict[str, Any]


def describe(mount: str) -> Json:
    """Return the description of the API below the path ``mount``, as JSON."""
    return {
        "openapi": OPENAPI,
        "info": {"title": "geocache", "version": __version__, "description": MEANING},
        "servers": [{"url": mount or "/"}],
        "paths": {
            operation.path: {
                method.lower(): _operation(operation, method) for method in operation.methods
            }
            for operation in OPERATIONS
        },
        "components": {"schemas": components(), "securitySchemes": _security_schemes()},
    }


@cache
def components() -> Mapping[str, Json]:
    """Return the schemas of all types by name, with what each field means."""
    _, found = msgspec.json.schema_components(schemas.ALL, ref_template=REFERENCE)
    named: dict[str, Json] = _without_suffix(found)
    named["Answers"]["properties"]["results"]["items"] = _any_of(schemas.RESULT)
    named["Problem"]["properties"]["code"]["enum"] = sorted(KINDS)
    for name, schema in named.items():
        schema.pop("title", None)
        if name == "Subdivision":
            schema["description"] = "A part of a country."
        own = fields.BY_COMPONENT.get(name, {})
        for field, described in schema["properties"].items():
            meaning, keywords = own.get(field) or fields.FIELDS[field]
            described |= {"description": meaning, **keywords}
    return named


def _without_suffix(value: Any) -> Any:
    """Return the schemas by the names that programs read: ``SubdivisionDict`` is one of Python."""
    return msgspec.json.decode(msgspec.json.encode(value).replace(b'Dict"', b'"'))


def _operation(operation: Operation, method: str) -> Json:
    is_head = method == "HEAD"
    described: Json = {
        "operationId": f"{operation.id}_head" if is_head else operation.id,
        "summary": f"{operation.summary}: the headers alone" if is_head else operation.summary,
        "description": operation.meaning,
        "responses": _responses(operation, method),
        "security": _security(operation),
    }
    parameters = [_parameter(one) for one in operation.parameters]
    if operation is LOOKUP_ONE:
        parameters.insert(0, ADDRESS)
    if parameters:
        described["parameters"] = parameters
    if operation.bodies:
        content = {kind: {"schema": _schema(body)} for kind, body in operation.bodies}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parameter(one: Parameter[Any]) -> Json:
    return {
        "name": one.name,
        "in": "query",
        "required": False,
        "description": one.meaning,
        "schema": one.schema,
    }


def _responses(operation: Operation, method: str) -> Json:
    answer: Json = {"description": "The answer."}
    if method == "GET":
        answer["headers"] = _headers(["ETag"], are_required=True)
    answers = {"200": answer | _content(_any_of(operation.answers), method)}
    if method == "GET":
        answers["304"] = {"description": "Nothing has changed.", "headers": _headers(["ETag"])}
    by_status: dict[int, list[str]] = {}
    for code in operation.codes:
        by_status.setdefault(KINDS[code].status, []).append(code)
    return answers | {str(one): _error(by_status[one], method) for one in sorted(by_status)}


def _error(codes: list[str], method: str) -> Json:
    """Return the response of one status, for which there are these codes."""
    names = list(dict.fromkeys(name for code in codes for name in KINDS[code].headers))
    is_always = all(KINDS[code].headers == tuple(names) for code in codes)
    schema = {
        **_schema(schemas.ErrorAnswer),
        "properties": {"error": {"properties": {"code": {"enum": codes}}}},
    }
    described: Json = {
        "description": " ".join(f"`{code}`: {KINDS[code].meaning}" for code in codes),
        **_content(schema, method),
    }
    return described | ({"headers": _headers(names, are_required=is_always)} if names else {})


def _headers(names: Iterable[str], *, are_required: bool = False) -> Json:
    described = {name: HEADERS[name] for name in names}
    return {
        name: {"description": meaning, "required": are_required, "schema": schema}
        for name, (meaning, schema) in described.items()
    }


def _content(schema: Json, method: str) -> Json:
    return {} if method == "HEAD" else {"content": {JSON: {"schema": schema}}}


def _any_of(kinds: tuple[type, ...]) -> Json:
    described = [_schema(kind) for kind in kinds]
    return described[0] if len(described) == 1 else {"anyOf": described}


def _schema(kind: type) -> Json:
    if kind in schemas.ALL:
        return {"$ref": REFERENCE.format(name=kind.__name__)}
    return {"type": "string" if kind is str else "object"}


def _security(operation: Operation) -> list[Json]:
    if operation.is_open:
        return []
    session: Json = {SESSION: []} if operation.is_safe else {SESSION: [], CSRF: []}
    everybody: list[Json] = [{}] if conf.get("PUBLIC_LOOKUP") else []
    return [{TOKEN: []}, session, *everybody]


def _security_schemes() -> Json:
    return {
        TOKEN: {
            "type": "http",
            "scheme": "bearer",
            "description": "A token that is made in the admin, with the rights of its user.",
        },
        SESSION: {
            "type": "apiKey",
            "in": "cookie",
            "name": conf.session_cookie_name(),
            "description": "The session of a user who is logged in on the site.",
        },
        CSRF: {
            "type": "apiKey",
            "in": "header",
            "name": conf.csrf_header(),
            "description": "The CSRF token that belongs to a session.",
        },
    }
