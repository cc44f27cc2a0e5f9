import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from geocache.cache import backends
from geocache.exceptions import JournalUnavailable
from geocache.journal import backlog as journal_backlog
from geocache.journal import reader, writer
from geocache.journal import segments as journal_segments
from geocache.location import dump_locations, load_locations
from tests.factories import NOON, a_location, many_locations
from tests.support.cache_loss import lose_journal


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> "Clock":
    clock = Clock()
    monkeypatch.setattr(writer, "now", clock)
    return clock


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def all_records(first: int | None = None) -> list[str]:
    """Close every segment there is and return the texts of its records."""
    last = reader.last_ticket()
    first = journal_segments.base_of(last) + 1 if first is None else first
    segments = [reader.close_segment(number) for number in range(first, last + 1)]
    return [text for segment in segments for text in segment.records.values()]


def addresses(texts: list[str]) -> set[str]:
    return {location.address for text in texts for location in load_locations(text)}


def test_append__answer_is_in_a_record_without_timeout() -> None:
    writer.append([a_location()])

    segment = reader.close_segment(reader.last_ticket())

    (key,) = segment.records
    assert load_locations(segment.records[key]) == [a_location()]
    assert not segment.lost_count


def test_append__a_sealed_segment_takes_neither_record_nor_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer.append([a_location()])
    reader.close_segment(reader.last_ticket())
    refused = []

    def add_both(backend: Any, key: str, text: str, entry: backends.Entry) -> bool:
        is_set = real(backend, key, text, entry)
        refused.append(backend.get(entry.key) is None and not is_set)
        return is_set

    real = backends.add_both
    monkeypatch.setattr(backends, "add_both", add_both)
    entry = backends.Entry("e:1:20.0.0.1", "an answer", 60)

    is_set = writer.append([a_location("20.0.0.1")], entry)

    assert refused[0]
    assert addresses(all_records()) == {a_location().address, "20.0.0.1"}
    assert (backends.current().get(entry.key) is not None) == is_set


def test_append__puts_200_answers_into_one_record() -> None:
    writer.append(many_locations(401))

    counts = [len(load_locations(text)) for text in all_records()]

    assert counts == [200, 200, 1]


def test_append__uses_one_segment_for_64_records_then_another() -> None:
    for location in many_locations(65):
        writer.append([location])

    last = reader.last_ticket()

    assert [len(reader.close_segment(n).records) for n in (last - 1, last)] == [64, 1]


def test_append__takes_a_new_segment_after_30_seconds(clock: Clock) -> None:
    writer.append([a_location()])
    first = reader.last_ticket()
    clock.seconds += 31

    writer.append([a_location()])

    assert reader.last_ticket() == first + 1


def test_append__goes_to_a_new_segment_when_its_own_is_sealed() -> None:
    writer.append([a_location("20.0.0.1")])
    sealed = reader.close_segment(reader.last_ticket())

    writer.append([a_location("20.0.0.2")])

    later = reader.close_segment(reader.last_ticket())
    assert later.number == sealed.number + 1
    assert addresses(list(later.records.values())) == {"20.0.0.2"}


def test_append__never_overwrites_a_record_of_another_owner_of_the_same_ticket() -> None:
    writer.append([a_location("20.0.0.1")])
    backend = backends.current()
    backend.decr(
        journal_segments.TICKET_KEY
    )  # a counter that went back gives the same ticket again
    writer.process_writer.reset()

    writer.append([a_location("20.0.0.2")])

    assert addresses(all_records()) == {"20.0.0.1", "20.0.0.2"}


def test_append__does_not_trust_an_add_that_took_longer_than_60_seconds(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = backends.current()
    delays = iter([61.0, 0.0])
    real_add = backend.add

    def slow_add(key: str, *args: Any, **kwargs: Any) -> bool:
        if key.startswith("r:"):
            clock.seconds += next(delays, 0.0)
        return real_add(key, *args, **kwargs)

    monkeypatch.setattr(backend, "add", slow_add)

    writer.append([a_location()])

    assert len(all_records()) == 2


def test_append__counts_a_pause_between_the_segments_age_and_the_add(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.append([a_location()])
    first = reader.last_ticket()
    original = writer.Writer.free_segment

    def paused(self: writer.Writer, now: float) -> writer.OpenSegment | None:
        segment = original(self, now)
        clock.seconds += 4000 if segment is not None else 0
        return segment

    monkeypatch.setattr(writer.Writer, "free_segment", paused)

    writer.append([a_location("20.0.0.2")])

    assert reader.last_ticket() == first + 1


def test_append__child_of_a_fork_leaves_the_parents_segment_alone() -> None:
    writer.append([a_location()])
    first = reader.last_ticket()
    writer.process_writer.process_id -= 1  # what a child finds

    writer.append([a_location("20.0.0.2")])

    assert reader.last_ticket() == first + 1
    assert len(writer.process_writer.held) == 1


def test_append__eight_threads_lose_nothing() -> None:
    given = many_locations(400)

    def work(part: int) -> None:
        for location in given[part::8]:
            writer.append([location])

    threads = [threading.Thread(target=work, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert addresses(all_records()) == {location.address for location in given}


def test_append__journals_again_what_it_holds_when_the_counter_is_lost() -> None:
    writer.append([a_location("20.0.0.1")])
    backends.current().delete(journal_segments.TICKET_KEY)
    for key in journal_segments.record_keys(writer.process_writer.last_ticket):
        backends.current().delete(key)
    writer.process_writer.open_segments.clear()

    writer.append([a_location("20.0.0.2")])

    assert addresses(all_records()) == {"20.0.0.1", "20.0.0.2"}


def test_append__threads_that_take_their_first_tickets_at_once_see_no_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, askers = journal_segments.next_ticket, iter([True])

    def overtaken(*args: Any) -> int:
        ticket = real(*args)
        if next(askers, False):
            writer.append([a_location("20.0.0.1")])
        return ticket

    monkeypatch.setattr(journal_segments, "next_ticket", overtaken)
    with capture_logs() as logs:
        writer.append([a_location("20.0.0.2")])

    assert logs == []


def down_after(count: int) -> Callable[..., bool]:
    """Stand in for ``add``: goes through so many times, then the cache is away."""
    real_add, left = backends.current().add, iter(range(count))

    def add(*args: Any, **kwargs: Any) -> bool:
        if next(left, None) is None:
            raise ConnectionError("away")
        return real_add(*args, **kwargs)

    return add


def test_append__finishes_a_repair_that_was_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    for location in many_locations(5):
        writer.append([location])
    lose_journal()
    with monkeypatch.context() as patch:
        patch.setattr(backends.current(), "add", down_after(5))
        with pytest.raises(JournalUnavailable):
            writer.append([a_location("30.0.0.1")])
    writer.process_writer.open_segments.clear()

    writer.append([a_location("30.0.0.2")])

    expected = {location.address for location in many_locations(5)}
    assert addresses(all_records()) >= {*expected, "30.0.0.2"}


def test_append__does_not_trust_a_segment_from_before_a_loss_that_another_thread_saw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer.append([a_location("20.0.0.1")])
    old = reader.last_ticket()
    backend = backends.current()
    real_add = backend.add

    def lose_and_notice(*args: Any, **kwargs: Any) -> bool:
        monkeypatch.setattr(backend, "add", real_add)
        lose_journal()
        writer.append([a_location("20.0.0.2")])
        return real_add(*args, **kwargs)

    monkeypatch.setattr(backend, "add", lose_and_notice)
    writer.append([a_location("20.0.0.3")])

    assert all(number > old for number, _ in writer.process_writer.held)
    assert addresses([text for _, text in writer.process_writer.held]) == {
        f"20.0.0.{number}" for number in (1, 2, 3)
    }


def test_append__lets_go_of_what_is_flushed() -> None:
    writer.append([a_location("20.0.0.1")])
    reader.publish_flushed_through(reader.last_ticket())
    writer.process_writer.open_segments.clear()

    writer.append([a_location("20.0.0.2")])

    assert len(writer.process_writer.held) == 1


def test_append__holds_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "HELD_BYTES", 1000)

    for location in many_locations(50):
        writer.append([location])

    assert 0 < writer.process_writer.held_bytes <= 1000
    assert writer.process_writer.held_bytes == sum(len(t) for _, t in writer.process_writer.held)


def test_append__raises_when_the_backlog_is_over_its_limit(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BACKLOG_LIMIT": 128}
    reader.publish_flushed_through(reader.last_ticket())
    for location in many_locations(128):
        writer.append([location])

    with pytest.raises(JournalUnavailable, match="backlog"):
        writer.append([a_location()])


def test_append__raises_when_the_cache_is_down(settings: Any) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1",
        },
    }

    with pytest.raises(JournalUnavailable, match="cannot be reached"):
        writer.append([a_location()])


def test_append__raises_on_a_cache_that_cannot_hold_the_journal(settings: Any) -> None:
    settings.CACHES = {
        **settings.CACHES,
        "geocache": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }

    with pytest.raises(JournalUnavailable, match=r"LocMemCache.*E001"):
        writer.append([a_location()])


def test_close_segment__seals_behind_the_last_record() -> None:
    writer.append([a_location()])
    number = reader.last_ticket()

    reader.close_segment(number)

    backend = backends.current()
    assert backend.get(f"r:{number}:1") == journal_segments.SEAL
    assert not backend.add(f"r:{number}:1", "late", timeout=None)


def test_close_segment__of_nothing_is_untouched_and_sealed() -> None:
    number = reader.last_ticket()

    segment = reader.close_segment(number)

    assert segment.is_untouched
    assert backends.current().get(f"r:{number}:0") == journal_segments.SEAL


def test_close_segment__twice_gives_the_same_records() -> None:
    writer.append(many_locations(3))
    number = reader.last_ticket()

    assert reader.close_segment(number).records == reader.close_segment(number).records


def test_close_segment__reads_a_record_that_came_before_its_seal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer.append([a_location("20.0.0.1")])
    number = reader.last_ticket()
    backend = backends.current()
    real_add = backend.add

    def overtaken_add(key: str, value: str, timeout: float | None = None) -> bool:
        if value == journal_segments.SEAL and key == f"r:{number}:1":
            real_add(key, dump_locations([a_location("20.0.0.2")]), timeout=None)
        return real_add(key, value, timeout=timeout)

    monkeypatch.setattr(backend, "add", overtaken_add)

    segment = reader.close_segment(number)

    assert addresses(list(segment.records.values())) == {"20.0.0.1", "20.0.0.2"}


def test_close_segment__counts_a_gap_as_lost_and_seals_it() -> None:
    for location in many_locations(3):
        writer.append([location])
    number = reader.last_ticket()
    backends.current().delete(f"r:{number}:1")

    segment = reader.close_segment(number)

    assert segment.lost_count == 1
    assert len(segment.records) == 2
    assert backends.current().get(f"r:{number}:1") == journal_segments.SEAL


def test_close_segment__reads_a_record_that_a_replica_did_not_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for location in many_locations(3):
        writer.append([location])
    number = reader.last_ticket()
    backend = backends.current()
    real_get_many = backend.get_many
    hidden = [f"r:{number}:1"]

    def replica_get_many(keys: list[str]) -> dict[str, Any]:
        found = real_get_many(keys)
        if hidden:
            found.pop(hidden.pop(), None)
        return found

    monkeypatch.setattr(backend, "get_many", replica_get_many)

    segment = reader.close_segment(number)

    assert not segment.lost_count
    assert len(segment.records) == 3


def test_close_segment__needs_no_seal_when_it_is_full() -> None:
    for location in many_locations(64):
        writer.append([location])

    segment = reader.close_segment(reader.last_ticket())

    assert len(segment.records) == 64
    assert not segment.lost_count


def test_forget_segments__deletes_records_but_never_a_seal() -> None:
    writer.append([a_location()])
    number = reader.last_ticket()
    reader.close_segment(number)

    reader.forget_segments(number, number)

    backend = backends.current()
    assert backend.get(f"r:{number}:0") is None
    assert backend.get(f"r:{number}:1") == journal_segments.SEAL


def test_backlog__is_empty_at_first() -> None:
    backlog = journal_backlog.backlog(0)

    assert (backlog.answer_count, backlog.oldest_at, backlog.is_exact) == (0, None, True)


def test_backlog__counts_answers_and_knows_the_oldest() -> None:
    head = reader.last_ticket()
    writer.append(many_locations(250))

    backlog = journal_backlog.backlog(head)

    assert (backlog.answer_count, backlog.oldest_at, backlog.is_exact) == (250, NOON, True)


def test_backlog__estimates_what_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_backlog, "BACKLOG_SEGMENTS", 2)
    head = reader.last_ticket()
    for location in many_locations(64 * 4):
        writer.append([location])

    backlog = journal_backlog.backlog(head)

    assert (backlog.answer_count, backlog.is_exact) == (256, False)


def test_find__newest_answer_for_an_address_behind_the_head() -> None:
    head = reader.last_ticket()
    newer = a_location("8.8.8.8", resolved_at=NOON + timedelta(seconds=1))
    writer.append([newer, *many_locations(3)])
    writer.append([a_location("8.8.8.8"), a_location("8.8.8.88")])

    assert journal_backlog.find(head, "8.8.8.8") == newer
    assert journal_backlog.find(head, "8.8.8.88") == a_location("8.8.8.88")
    assert journal_backlog.find(head, "8.8.8.") is None
    assert journal_backlog.find(reader.last_ticket(), "8.8.8.8") is None


def test_find__passes_over_a_record_that_cannot_be_read() -> None:
    head = reader.last_ticket()
    writer.append([a_location("8.8.8.8")])
    key = journal_segments.record_key(head + 1, 1)
    backends.current().add(key, 'nonsense with "8.8.8.8"')

    assert journal_backlog.find(head, "8.8.8.8") == a_location("8.8.8.8")


def test_lock__is_free_again_afterwards() -> None:
    with reader.lock(60):
        assert backends.current().get(reader.LOCK_KEY)

    assert backends.current().get(reader.LOCK_KEY) is None


def test_lock__of_another_is_waited_for_then_passed_and_left_alone() -> None:
    backends.current().add(reader.LOCK_KEY, "another-", timeout=60)

    with reader.lock(60, wait_seconds=0.01):
        pass

    assert backends.current().get(reader.LOCK_KEY) == "another-"


def test_lock__says_whether_it_is_held() -> None:
    with reader.lock(60) as first, reader.lock(60, wait_seconds=0.0) as second:
        assert (first, second) == (True, False)
    with reader.lock(60) as again:
        assert again
