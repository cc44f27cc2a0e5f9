"""Try on a cache what the journal needs of it, with keys of the probe's own.

A probe does not see whether a cache is shared by all processes, whether its ``add`` is atomic for
them, and whether it evicts: ``backends`` knows these by class and by setting.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.core.cache import BaseCache

from geocache.exceptions import CacheUnavailable

# How long the keys of a killed probe stay.
KEY_SECONDS: Final = 60
# All numbers of the journal are at most this: beyond it some clients round, as they count in Lua.
LARGEST_NUMBER: Final = 2**53 - 1
# None has this name.
ANY_KEY: Final = "probe:any"
TEXT: Final = '{"city":"Zürich"}'
# Of several servers each read asks any one: of two wrong ones among four, this many reads miss
# none in practice. A replica may be late.
READS: Final = 32
PATIENCE_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.02


def problem_of(backend: BaseCache) -> str:
    """Return what ``backend`` does not do as the journal needs it, or the empty text.

    Raises ``CacheUnavailable``, or what the cache's library raises, when it does not work now.
    """
    probe = Probe(backend)
    for requirement, is_met in REQUIREMENTS:
        try:
            problem = "" if is_met(probe) else requirement
        except Exception as error:
            if not _is_wrong_use(error):
                raise
            problem = f"{requirement}, and it raised {type(error).__name__}: {error}"
        if problem:
            break
    backend.delete_many(probe.keys)
    return problem


@dataclass(slots=True)
class Probe:
    """One cache, and three keys that nothing else uses."""

    backend: BaseCache
    text: str = ""
    number: str = ""
    missing: str = ""

    def __post_init__(self) -> None:
        name = f"probe:{secrets.token_hex(8)}"
        self.text, self.number, self.missing = f"{name}:text", f"{name}:number", f"{name}:missing"

    @property
    def keys(self) -> list[str]:
        return [self.text, self.number, self.missing]

    def adds_once(self) -> bool:
        if not self.backend.add(self.text, TEXT, timeout=KEY_SECONDS):
            raise CacheUnavailable("it did not add a key that is new")
        return not self.backend.add(self.text, "another", timeout=KEY_SECONDS)

    def refuses_to_count_what_is_missing(self) -> bool:
        try:
            self.backend.incr(self.missing)
        except ValueError:
            return True
        return False

    def counts_exactly(self) -> bool:
        start = LARGEST_NUMBER - 2
        self.backend.add(self.number, start, timeout=KEY_SECONDS)
        counted = [self.backend.incr(self.number, step) for step in (1, 0, -1, 2)]
        return counted == [start + 1, start + 1, start, LARGEST_NUMBER]

    def reads_back(self) -> bool:
        return self._comes_to_show({self.text: TEXT, self.number: LARGEST_NUMBER}, READS)

    def deletes(self) -> bool:
        self.backend.delete_many(self.keys)
        return self._comes_to_show({}, 1)

    def _comes_to_show(self, expected: dict[str, object], reads: int) -> bool:
        """Tell whether each of so many reads shows exactly this, at the latest after a while."""
        until = time.monotonic() + PATIENCE_SECONDS
        for _ in range(reads):
            while not self._shows(expected):
                if time.monotonic() >= until:
                    return False
                time.sleep(POLL_SECONDS)
        return True

    def _shows(self, expected: dict[str, object]) -> bool:
        shown = self.backend.get_many(self.keys)
        return shown == expected and self.backend.get(self.text) == expected.get(self.text)


# In this order, as each relies on those before it.
REQUIREMENTS: Final[tuple[tuple[str, Callable[[Probe], bool]], ...]] = (
    ("its add() has to refuse a key that is there", Probe.adds_once),
    (
        "its incr() has to raise ValueError for a key that is missing",
        Probe.refuses_to_count_what_is_missing,
    ),
    ("its incr() has to be exact for numbers up to 2**53", Probe.counts_exactly),
    (
        "reads have to show what was written: LOCATIONs after the first have to be its replicas",
        Probe.reads_back,
    ),
    ("its delete_many() has to delete", Probe.deletes),
)


def _is_wrong_use(error: Exception) -> bool:
    """Tell whether the cache does not work in this way, rather than not now."""
    return type(error).__module__ == "builtins" and not isinstance(error, OSError)
