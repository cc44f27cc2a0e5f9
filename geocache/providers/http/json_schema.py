"""How to ask a JSON service, and where in its answers the fields of a ``Location`` are."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import quote, urlsplit

from geocache.providers.coercion import MAX_TEXT_LENGTH
from geocache.providers.http.json_fields import READERS
from geocache.traits import LABEL

# What each source adds to: a path by name in them, and not one path.
SHARED: Final = frozenset(("traits", "details"))
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
MAX_BATCH_SIZE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Where many addresses are asked for at once, with a JSON list of them as the body.

    ``wrapped_in`` names the key of an object around the list, ``answers`` the dotted path of what
    is answered: a list of answers, or an object of answers by address.
    """

    url: str = field(repr=False)
    size: int = 100
    wrapped_in: str = ""
    answers: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A mapping as it stands in the settings; ``{token}`` in URLs and headers is the token.

    ``fields`` has a dotted path by each field's name, and ``network`` among them; ``traits`` and
    ``details`` have a path by each label, or by each name of a detail. ``address`` is
    the path of the address that is answered for; ``not_found`` has values by path, any of which
    means that nothing is known, ``not_found_statuses`` statuses that do.
    """

    name: str = "JSON service"
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    fields: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)
    address: str = ""
    not_found: Mapping[str, Any] = field(default_factory=dict)
    not_found_statuses: tuple[int, ...] = ()
    batch: Batch | None = None
    attribution: str = ""
    token: str = field(default="", repr=False)

    def path_of(self, name: str) -> str:
        """Return the path of a field that has one; empty if it is not mapped."""
        path = self.fields.get(name, "")
        return path if isinstance(path, str) else ""

    def paths_of(self, name: str) -> Mapping[str, str]:
        """Return the paths by label of ``traits``, or by name of ``details``."""
        paths = self.fields.get(name, {})
        return paths if isinstance(paths, Mapping) else {}

    def paths(self) -> list[str]:
        """Return all paths that are read."""
        plain = [path for path in self.fields.values() if isinstance(path, str)]
        return [*plain, *(path for name in SHARED for path in self.paths_of(name).values())]

    def url_of(self, address: str) -> str:
        """Return the URL that answers for ``address``."""
        return self._with_token(self.url).replace("{address}", quote(address, safe=":"))

    def batch_url(self) -> str:
        """Return the URL that answers for many."""
        return self._with_token(self.batch.url) if self.batch else ""

    def filled_headers(self) -> dict[str, str]:
        """Return the headers to ask with."""
        return {name: value.replace("{token}", self.token) for name, value in self.headers.items()}

    def version(self) -> str:
        """Return a text that changes with what is read from an answer."""
        fields = sorted((name, _in_order(path)) for name, path in self.fields.items())
        read = repr((fields, sorted(self.not_found)))
        return blake2b(read.encode(), digest_size=4).hexdigest()

    def problems(self) -> list[str]:
        """Return what is wrong, one line each, without URLs and headers: they may hold keys."""
        return [f"{self.name}: {problem}" for problem in self._problems()]

    def _problems(self) -> Iterator[str]:
        urls = {"url": self.url} | ({"batch url": self.batch.url} if self.batch else {})
        for name, url in urls.items():
            yield from (f"{name} {problem}" for problem in self._url_problems(url))
        if "{address}" not in self.url:
            yield "url has no {address}"
        if not 0 < len(self.name) <= MAX_TEXT_LENGTH or not self.name.isprintable():
            yield f"name is not 1 to {MAX_TEXT_LENGTH} printable letters"
        if not self.fields:
            yield "fields are not named"
        if unknown := sorted(set(self.fields) - set(READERS) - {"network", *SHARED}):
            yield f"fields names {', '.join(unknown)}, which an answer does not have"
        paths = {name: path for name, path in self.fields.items() if name not in SHARED}
        if not all(isinstance(path, str) for path in (*paths.values(), *self.not_found)):
            yield "a path is not text"
        for name in sorted(SHARED & set(self.fields)):
            yield from self._shared_problems(name, self.fields[name])
        if not all(map(_is_plain, (*self.headers, *self._values()))):
            yield "headers are not ASCII text"
        yield from self._token_problems(urls.values())
        yield from self._batch_problems()

    def _shared_problems(self, name: str, paths: object) -> Iterator[str]:
        if not isinstance(paths, Mapping) or not all(
            isinstance(text, str) for pair in paths.items() for text in pair
        ):
            yield f"{name} is not a mapping of names to paths"
        elif unfit := sorted(one for one in paths if not LABEL.fullmatch(one)):
            yield f"{name} names {', '.join(unfit)}; a name is of a-z, 0-9 and _"

    def _token_problems(self, urls: Iterable[str]) -> Iterator[str]:
        asking = (*urls, *map(str, self._values()))
        if not self.token and any("{token}" in one for one in asking):
            yield "token is not set"
        if not _is_plain(self.token):
            yield "token is not ASCII text"

    def _batch_problems(self) -> Iterator[str]:
        if self.batch and not 1 <= self.batch.size <= MAX_BATCH_SIZE:
            yield f"batch size is not from 1 to {MAX_BATCH_SIZE}"
        if self.batch and not self.address:
            yield "address is not named, and a batch cannot be told apart"

    def _url_problems(self, url: str) -> Iterator[str]:
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield "is no http or https URL"
        elif self.token and parts.scheme == "http" and parts.hostname not in LOOPBACK:
            yield "is plain http, over which no token is sent"

    def _values(self) -> list[str]:
        return list(self.headers.values())

    def _with_token(self, url: str) -> str:
        return url.replace("{token}", quote(self.token, safe=""))


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _in_order(path: object) -> object:
    return sorted(path.items()) if isinstance(path, Mapping) else path
