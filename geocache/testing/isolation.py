"""Give a test all that geocache keeps in this process, and in the cache, as if it had just started.

Functions are replaced in the modules that call them, so that the code of the site pays nothing for
it. As with ``override_settings``, that holds for all threads of the process.
"""

import secrets
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from importlib import import_module
from typing import Any, Final
from unittest import mock

from geocache import addresses, conf, signals
from geocache.addresses import AddressLike, parse_address
from geocache.cache import backends
from geocache.cache.circuit_breaker import CircuitBreaker
from geocache.databases import update
from geocache.journal import last_seen, recorder, segments, spill_buffer, writer
from geocache.location import Location
from geocache.log_throttle import LogThrottle
from geocache.lookup import memory, network_cache, tiers
from geocache.providers import factory
from geocache.testing.answers import Address
from geocache.testing.in_process_cache import InProcessCache
from geocache.testing.provider import OverrideProvider

# What this process knows of answers.
STATES: Final = (
    memory.memory,
    writer.process_writer,
    spill_buffer.buffer,
    last_seen.tracker,
)
# Modules that ask whether an address is special, beside those of addresses that are reached for.
ASKING: Final = (
    "geocache.edge.said",
    "geocache.integrations.log_locations",
    "geocache.lookup.explain",
    "geocache.lookup.plan",
    "geocache.lookup.tiers",
    "geocache.maintenance.resolve_again",
    "geocache.management.explain_output",
    "geocache.web.views.addresses",
)
# Those that take a special address by its empty text.
READING: Final = ("geocache.lookup.asynchronous", "geocache.lookup.tiers")
LIMITER: Final = "geocache.rate_limit.limiter"


@contextmanager
def isolated(provider: OverrideProvider) -> Iterator[None]:
    """Have look-ups answered by ``provider``, and what they leave kept apart, until the end."""
    cache = InProcessCache()
    name = f"override_locations:{secrets.token_hex(6)}"
    special = Special(provider)
    with ExitStack() as stack:
        _replace(stack, backends, "current", lambda: cache)
        _replace(stack, factory, "current", _Current(provider))
        _replace(stack, backends, "journal_aliases", lambda: [conf.get("CACHE_ALIAS")])
        _replace(stack, segments, "journal_name", lambda: name)
        # A test that runs the jobs fetches no database.
        _replace(stack, update, "is_used", lambda: False)
        _replace(stack, tiers, "old_rows", _old_rows_if_allowed)
        for module in READING:
            _replace(stack, _imported(module), "public_text", special.public_text)
        for module in ASKING:
            _replace(stack, _imported(module), "special_reason", special.reason)
        storage = getattr(_imported(LIMITER), "ProcessStorage", None)
        _replace(stack, storage, "counts", Counter())
        _replace(stack, signals, "throttles", defaultdict(signals.throttles.default_factory))
        stack.enter_context(_settings_of_the_file())
        stack.enter_context(_fresh_state())
        yield


class Special:
    """Tell special addresses from others: those that the test names are asked for like any."""

    def __init__(self, provider: OverrideProvider) -> None:
        self._provider = provider

    def reason(self, address: Address) -> str:
        """Do what ``addresses.special_reason`` does."""
        return "" if self._provider.names(address) else addresses.special_reason(address)

    def public_text(self, value: AddressLike) -> str:
        """Do what ``addresses.public_text`` does."""
        address = parse_address(value)
        return "" if self.reason(address) else str(address)


class _Current:
    """What ``factory.current`` is meanwhile; a change of the settings clears the site's."""

    def __init__(self, provider: OverrideProvider) -> None:
        self._provider = provider
        self.cache_clear = factory.current.cache_clear

    def __call__(self) -> OverrideProvider:
        return self._provider


def _old_rows_if_allowed(missing: network_cache.Public) -> dict[str, Location]:
    """Return rows that stand in for a provider that fails, none where no database may be asked."""
    try:
        return network_cache.old_rows(missing)
    except recorder.FORBIDDEN:
        return {}


@contextmanager
def _settings_of_the_file() -> Iterator[None]:
    """Leave out what the admin has changed, before this and meanwhile."""
    kept = conf.overridden()
    conf.override({})
    try:
        yield
    finally:
        conf.override(kept)


def _imported(module: str) -> Any:
    """Return a module, or None where what it needs is not installed."""
    try:
        return import_module(module)
    except ImportError:
        return None


def _replace(stack: ExitStack, owner: Any, name: str, new: Any) -> None:
    if owner is not None:
        stack.enter_context(mock.patch.object(owner, name, new))


@contextmanager
def _fresh_state() -> Iterator[None]:
    # Their attributes are swapped: other modules hold the objects themselves.
    states = [*STATES, *throttles_and_breakers()]
    kept = [(state, dict(vars(state))) for state in states]
    for state in states:
        vars(state).update(vars(_as_new(state)))
    try:
        yield
    finally:
        for state, attributes in kept:
            vars(state).update(attributes)


def _as_new(state: Any) -> Any:
    if not isinstance(state, LogThrottle | CircuitBreaker):
        return type(state)()
    new = copy(state)
    new.reset()
    return new


def throttles_and_breakers() -> list[Any]:
    """Return those that modules have; those of a provider are its own."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("geocache.")]
    found = (value for module in modules for value in list(vars(module).values()))
    # By identity: some are imported by other modules.
    return list(
        {id(one): one for one in found if isinstance(one, LogThrottle | CircuitBreaker)}.values()
    )
