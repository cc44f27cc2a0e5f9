"""What the probe says of caches that do not do as the journal needs, and of those that do."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches

from geocache import conf
from geocache.cache import backends, probe
from geocache.cache.embedded import EmbeddedCache
from geocache.exceptions import CacheUnavailable
from tests.conftest import require
from tests.support import cache_set_ups
from tests.support.cache_set_ups import SET_UPS, djangos, two_servers, with_django_redis

pytestmark = pytest.mark.any_services


class Cache(EmbeddedCache):
    """A cache that does as it should, but is not the app's own."""


class Overwriting(Cache):
    def add(self, *arguments: Any, **options: Any) -> bool:
        super().add(*arguments, **options)
        return True


class AddingNothing(Cache):
    def add(self, *_: Any, **__: Any) -> bool:
        return False


class Rounding(Cache):
    """As Lua counts beyond 2**53."""

    def incr(self, *arguments: Any, **options: Any) -> int:
        return super().incr(*arguments, **options) // 256 * 256


class CountingFromNothing(Cache):
    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        self.add(key, 0, timeout=60, version=version)
        return super().incr(key, delta, version)


class CountingIntoNone(Cache):
    def incr(self, key: str, delta: int = 1, version: int | None = None) -> Any:
        super().incr(key, delta, version)


class FailingToCount(Cache):
    def incr(self, *_: Any, **__: Any) -> int:
        raise TypeError("None + 1")


class WithoutCounters(Cache):
    def incr(self, *_: Any, **__: Any) -> int:
        raise NotImplementedError


class ReadingNumbersAsText(Cache):
    def get_many(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        return {key: str(value) for key, value in super().get_many(*arguments, **options).items()}


class ReadingBytes(Cache):
    def get(self, *arguments: Any, **options: Any) -> Any:
        value = super().get(*arguments, **options)
        return value.encode() if isinstance(value, str) else value


class ReadingOneServerOfThree(Cache):
    """Every third read is of a server that has nothing."""

    reads = 0

    def get_many(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        self.reads += 1
        return super().get_many(*arguments, **options) if self.reads % 3 else {}


class Lagging(Cache):
    """A replica that is a third of a second late."""

    first_read: float | None = None

    def get_many(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        self.first_read = self.first_read or time.monotonic()
        is_late = time.monotonic() - self.first_read < 0.3
        return {} if is_late else super().get_many(*arguments, **options)


class DeletingNothing(Cache):
    def delete_many(self, keys: Any, version: int | None = None) -> None:
        pass


class Down(Cache):
    def add(self, *_: Any, **__: Any) -> bool:
        raise ConnectionRefusedError("connection refused")


ADD, MISSING, EXACT, READ, DELETE = (requirement for requirement, _ in probe.REQUIREMENTS)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Cache, ""),
        (Lagging, ""),
        (Overwriting, ADD),
        (CountingFromNothing, MISSING),
        (FailingToCount, f"{MISSING}, and it raised TypeError: None + 1"),
        (WithoutCounters, f"{MISSING}, and it raised NotImplementedError: "),
        (Rounding, EXACT),
        (CountingIntoNone, EXACT),
        (ReadingNumbersAsText, READ),
        (ReadingBytes, READ),
        (DeletingNothing, DELETE),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_problem_of__names_what_a_cache_does_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Cache], expected: str
) -> None:
    monkeypatch.setattr(probe, "PATIENCE_SECONDS", 0.4)

    assert probe.problem_of(kind(str(tmp_path), {})) == expected


def test_problem_of__sees_that_some_reads_are_of_another_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "PATIENCE_SECONDS", 0.0)

    assert probe.problem_of(ReadingOneServerOfThree(str(tmp_path), {})) == READ


@pytest.mark.parametrize(
    ("kind", "error"), [(Down, ConnectionRefusedError), (AddingNothing, CacheUnavailable)]
)
def test_problem_of__a_cache_that_does_not_work_now_is_an_error(
    tmp_path: Path, kind: type[Cache], error: type[Exception]
) -> None:
    with pytest.raises(error):
        probe.problem_of(kind(str(tmp_path), {}))


@pytest.mark.parametrize("kind", [Cache, Overwriting, CountingFromNothing, Rounding])
def test_problem_of__leaves_no_key(tmp_path: Path, kind: type[Cache]) -> None:
    backend = kind(str(tmp_path), {})

    probe.problem_of(backend)

    (count,) = backend.connection().execute("SELECT count(*) FROM entries").fetchone()
    assert count == 0


@pytest.mark.slow
def test_problem_of__a_killed_probe_leaves_keys_for_a_minute(tmp_path: Path) -> None:
    backend = DeletingNothing(str(tmp_path), {})

    probe.problem_of(backend)

    rows = backend.connection().execute("SELECT expires_at FROM entries").fetchall()
    assert len(rows) == 2
    assert all(0 < expires_at - time.time() <= 60 for (expires_at,) in rows)


# --- remembered -------------------------------------------------------------------------------


def use(settings: Any, entry: dict[str, Any]) -> None:
    prefix = settings.CACHES["geocache"]["KEY_PREFIX"]
    settings.CACHES = {**settings.CACHES, "geocache": {**entry, "KEY_PREFIX": prefix}}


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the caches on which the probe has tried something."""
    tried: list[Any] = []
    problem_of = probe.problem_of
    monkeypatch.setattr(
        probe, "problem_of", lambda backend: tried.append(backend) or problem_of(backend)
    )
    return tried


def an_entry(kind: type[Cache], folder: Path) -> dict[str, Any]:
    return {"BACKEND": f"{__name__}.{kind.__name__}", "LOCATION": str(folder)}


@pytest.fixture
def is_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the caches of this module be foreign ones: the embedded one is not tried."""

    class Own(EmbeddedCache):
        pass

    monkeypatch.setattr(backends, "EmbeddedCache", Own)


@pytest.mark.usefixtures("is_foreign")
def test_journal_problem__is_found_once_and_remembered(
    settings: Any, tmp_path: Path, probed: list[Any]
) -> None:
    use(settings, an_entry(Cache, tmp_path))

    for _ in range(3):
        assert backends.can_hold_journal(backends.current())

    assert len(probed) == 1


@pytest.mark.usefixtures("is_foreign")
def test_journal_problem__an_unfit_cache_is_tried_again_after_a_while(
    settings: Any, tmp_path: Path, probed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(settings, an_entry(Rounding, tmp_path))

    assert backends.journal_problem(backends.current()) == EXACT
    assert backends.journal_problem(backends.current()) == EXACT
    assert len(probed) == 1

    later = time.monotonic() + backends.UNFIT_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    monkeypatch.setattr(Rounding, "incr", Cache.incr)
    assert backends.journal_problem(backends.current()) == ""
    assert len(probed) == 2


@pytest.mark.usefixtures("is_foreign")
def test_journal_problem__a_cache_that_is_down_is_not_remembered(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(settings, an_entry(Down, tmp_path))
    with pytest.raises(ConnectionRefusedError):
        backends.journal_problem(backends.current())

    monkeypatch.setattr(Down, "add", Cache.add)

    assert backends.journal_problem(backends.current()) == ""


@pytest.mark.usefixtures("is_foreign")
def test_journal_problem__another_cache_is_tried_by_itself(settings: Any, tmp_path: Path) -> None:
    use(settings, an_entry(Rounding, tmp_path / "one"))
    assert backends.journal_problem(backends.current()) == EXACT

    use(settings, an_entry(Cache, tmp_path / "two"))

    assert backends.journal_problem(backends.current()) == ""


# --- real servers -----------------------------------------------------------------------------


@pytest.fixture(params=SET_UPS)
def fit(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> Iterator[None]:
    program, set_up = SET_UPS[request.param]
    require(cache_set_ups.has_server(request.param), program)
    with set_up(tmp_path) as entry:
        use(settings, entry)
        yield
        caches.close_all()


@pytest.mark.slow
@pytest.mark.usefixtures("fit")
def test_journal_problem__none_on_a_cache_that_can_hold_it() -> None:
    backend = backends.current()

    assert backends.journal_problem(backend) == ""
    assert backends.redis_client(backend).keys("*") == []


@pytest.mark.slow
@pytest.mark.usefixtures("fit")
def test_scan__finds_the_keys_of_each_cache_that_can_hold_the_journal() -> None:
    backend = backends.current()
    backend.set_many({"e:1": "x", "f:1": "x"}, timeout=60)

    keys = backends.scan(backend, "e:")

    assert keys is not None
    assert list(keys) == ["e:1"]


@pytest.mark.slow
@pytest.mark.parametrize("entry_of", [djangos, with_django_redis])
def test_journal_problem__of_two_servers_that_do_not_know_each_other(
    settings: Any, tmp_path: Path, entry_of: Any
) -> None:
    require(shutil.which("redis-server") is not None, "redis-server")
    with two_servers(tmp_path) as (first, second):
        use(settings, entry_of([first.url, second.url]))

        assert backends.journal_problem(backends.current()) == READ


@pytest.mark.slow
def test_journal_problem__of_a_redis_that_evicts(settings: Any, tmp_path: Path) -> None:
    require(shutil.which("redis-server") is not None, "redis-server")
    with cache_set_ups.django_redis_without_pickles(tmp_path) as entry:
        use(settings, entry)
        client = backends.redis_client(backends.current())
        client.config_set("maxmemory-policy", "allkeys-lru")
        # Without a limit nothing is evicted.
        assert backends.journal_problem(backends.current()) == ""

        client.config_set("maxmemory", 10_000_000)
        use(settings, entry)
        assert "allkeys-lru" in backends.journal_problem(backends.current())


def test_journal_problem__of_django_valkey_on_a_redis_server(settings: Any, redis_url: str) -> None:
    # Its counters need a Lua with the words of Valkey, and else are read, added to and written.
    use(settings, cache_set_ups.with_django_valkey(redis_url))

    problem = backends.journal_problem(backends.current())

    assert problem.startswith(f"{MISSING}, and it raised TypeError")


@pytest.mark.parametrize(
    "entry_of", [cache_set_ups.with_django_redis, cache_set_ups.with_django_valkey]
)
def test_journal_problem__of_a_cache_that_hides_its_errors(settings: Any, entry_of: Any) -> None:
    use(settings, entry_of("redis://127.0.0.1:1/0", IGNORE_EXCEPTIONS=True))

    assert "IGNORE_EXCEPTIONS" in backends.journal_problem(backends.current())
    assert conf.get("CACHE_ALIAS") == "geocache"
