"""Whom to thank for answers, by their ``source``: also those of databases that are gone by now."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from geocache.exceptions import ProviderError
from geocache.licences.kinds import Licence
from geocache.licences.named import licence_of, name_of
from geocache.licences.texts import Part, parts_of
from geocache.location import SOURCE_SEPARATOR
from geocache.providers import factory
from geocache.providers.base import Source

# Between the credits of one answer.
BETWEEN: Final = "; "
# The column of a file, and the key beside the fields of an answer in JSON.
CREDIT: Final = "credit"


def credited(plain: Mapping[str, Any], thanks: "Credits") -> dict[str, Any]:
    """Return an answer in JSON, or a span, with its credit."""
    return {**plain, CREDIT: thanks.line(plain["source"])}


def licence_of_source(source: Source) -> Licence:
    """Return what is known of the licence of a database or service."""
    return licence_of(source.name, source.built_at.date() if source.built_at else None)


def current_sources() -> list[Source]:
    """Return what is in use; nothing while the provider fails."""
    try:
        return factory.current().sources()
    except (ImproperlyConfigured, ProviderError):
        return []


class Credits:
    """The credits of answers. Each text is read once; make one for a page, a file or a request."""

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}

    @cached_property
    def _present(self) -> dict[str, Source]:
        return {
            name: one for one in current_sources() for name in (one.type_name, one.name) if name
        }

    def line(self, source: str) -> str:
        """Return the credits of one answer in one line, or the empty text."""
        if source not in self._lines:
            self._lines[source] = BETWEEN.join(self.of([source]))
        return self._lines[source]

    def of(self, sources: Iterable[str]) -> list[str]:
        """Return the credits of several answers, each once."""
        parts = (part for text in dict.fromkeys(sources) for part in parts_of(text))
        return list(dict.fromkeys(filter(None, map(self._credit, parts))))

    def shown(self, source: str) -> str:
        """Return a ``source`` as people should read it, with the names that are set for it."""
        return SOURCE_SEPARATOR.join(
            f"{self._name(part)} {part.built_on}" if part.built_on else self._name(part)
            for part in parts_of(source)
        )

    def _credit(self, part: Part) -> str:
        present = self._present.get(part.name)
        if present and present.built_at is None:
            # A service names its credit itself.
            return present.attribution
        return licence_of(self._name(part), part.built_on).credit

    def _name(self, part: Part) -> str:
        present = self._present.get(part.name)
        if present and present.type_name == part.name:
            return present.name
        # Without a file at hand its type alone may have a name.
        return name_of("", part.name)
