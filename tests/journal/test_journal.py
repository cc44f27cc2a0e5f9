import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import BaseCache
from structlog.testing import capture_logs

from geocache.cache import backends
from geocache.exceptions import JournalUnavailable
from geocache.journal import backlog as journal_backlog
from geocache.journal import reader, writer
from geocache.journal import segments as journal_segments
from geocache.location import dump_locations, load_locations
from geocache.models import JournalHead
from tests.factories import NOON, a_location, many_locations
from tests.support.cache_loss import lose_journal


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> "Clock":
    clock = Clock()
    monkeypatch.setattr(writer.time, "monotonic", clock)
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
    segments = reader.close_segments(range(first, last + 1))
    return [text for segment in segments for text in segment.records.values()]


def close_segment(number: int) -> reader.ClosedSegment:
    (segment,) = reader.close_segments([number])
    return segment


def addresses(texts: list[str]) -> set[str]:
    return {location.address for text in texts for location in load_locations(text)}


def test_append__answer_is_in_a_record_without_timeout() -> None:
    writer.append([a_location()])

    segment = close_segment(reader.last_ticket())

    (key,) = segment.records
    assert load_locations(segment.records[key]) == [a_location()]
    assert not segment.lost_count


def test_append__a_sealed_segment_takes_neither_record_nor_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer.append([a_location()])
    close_segment(reader.last_ticket())
    refused = []

    def append(backend: Any, *args: Any, **options: Any) -> backends.Appended:
        appended = real(backend, *args, **options)
        refused.append(backend.get(entry.key) is None and not appended.is_added)
        return appended

    real = backends.append
    monkeypatch.setattr(backends, "append", append)
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

    assert [len(close_segment(n).records) for n in (last - 1, last)] == [64, 1]


def test_append__takes_a_new_segment_after_30_seconds(clock: Clock) -> None:
    writer.append([a_location()])
    first = reader.last_ticket()
    clock.seconds += 31

    writer.append([a_location()])

    assert reader.last_ticket() == first + 1


def test_append__goes_to_a_new_segment_when_its_own_is_sealed() -> None:
    writer.append([a_location("20.0.0.1")])
    sealed = close_segment(reader.last_ticket())

    writer.append([a_location("20.0.0.2")])

    later = close_segment(reader.last_ticket())
    assert later.number == sealed.number + 1
    assert addresses(list(later.records.values())) == {"20.0.0.2"}


def test_append__never_overwrites_a_record_of_another_owner_of_the_same_ticket() -> None:
    writer.append([a_location("20.0.0.1")])
    backend = backends.current()
    backend.decr(
        journal_segments.key(journal_segments.Name.TICKET)
    )  # a counter that went back gives the same ticket again
    writer.process_writer.reset()

    writer.append([a_location("20.0.0.2")])

    assert addresses(all_records()) == {"20.0.0.1", "20.0.0.2"}


def expired_seals() -> None:
    """Remove all seals, as a cache does whose clock was set an hour ahead."""
    last = reader.last_ticket()
    backend = backends.current()
    for number in range(journal_segments.base_of(last), last + 1):
        keys = journal_segments.record_keys(number)
        found = backend.get_many(keys)
        backend.delete_many([key for key in keys if found.get(key) == journal_segments.SEAL])


def passed(*, is_sealed: bool = False) -> int:
    """Do what a flush does with all that is there; return the last segment that it passes."""
    last, _ = reader.begin_flush()
    for segment in reader.close_segments(range(journal_segments.base_of(last) + 1, last + 1)):
        reader.forget(segment.records)
    if not is_sealed:
        expired_seals()
    return last


def test_append__never_behind_a_flush_though_no_seal_stands_there() -> None:
    writer.append([a_location("20.0.0.1")])
    last = passed()

    writer.append([a_location("20.0.0.2")])

    assert addresses(all_records(first=last + 1)) == {"20.0.0.2"}


@pytest.mark.parametrize("is_before", [True, False])
def test_append__sees_a_flush_that_begins_beside_its_add(
    monkeypatch: pytest.MonkeyPatch, *, is_before: bool
) -> None:
    writer.append([a_location("20.0.0.1")])
    real = backends.append
    lasts = []

    def beside(*args: Any, **options: Any) -> backends.Appended:
        monkeypatch.setattr(backends, "append", real)
        if is_before:
            lasts.append(passed())
        appended = real(*args, **options)
        if not is_before:
            lasts.append(reader.begin_flush()[0])
        return appended

    monkeypatch.setattr(backends, "append", beside)

    writer.append([a_location("20.0.0.2")])

    found = addresses(all_records(first=lasts[0] + 1))
    assert found == ({"20.0.0.2"} if is_before else set())
    # Taken back from where no flush looks; found by this flush where it had begun after the add.
    assert addresses(all_records()) == ({"20.0.0.2"} if is_before else {"20.0.0.1", "20.0.0.2"})


def test_append__killed_before_it_adds_again_leaves_what_others_may_have_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hot entry was set with the record: another process may have answered from it."""
    writer.append([a_location("20.0.0.1")])
    real, calls = backends.append, iter(range(9))

    def killed_the_second_time(*args: Any, **options: Any) -> backends.Appended:
        if next(calls):
            raise KeyboardInterrupt
        reader.begin_flush()
        return real(*args, **options)

    monkeypatch.setattr(backends, "append", killed_the_second_time)
    entry = backends.Entry("e:1:20.0.0.2", "an answer", 60)

    with pytest.raises(KeyboardInterrupt):
        writer.append([a_location("20.0.0.2")], entry)

    assert backends.current().get(entry.key)
    assert addresses(all_records()) == {"20.0.0.1", "20.0.0.2"}


def test_append__is_not_fooled_by_a_flush_between_its_ticket_and_its_add(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, lasts = journal_segments.next_ticket, []

    def overtaken(*args: Any) -> int:
        ticket = real(*args)
        if not lasts:
            lasts.append(ticket)
            assert passed() == ticket
        return ticket

    monkeypatch.setattr(journal_segments, "next_ticket", overtaken)

    writer.append([a_location("20.0.0.2")])

    assert addresses(all_records(first=lasts[0] + 1)) == {"20.0.0.2"}


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
    backends.current().delete(journal_segments.key(journal_segments.Name.TICKET))
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


def down_after(count: int) -> Callable[..., backends.Appended]:
    """Stand in for ``append``: goes through so many times, then the cache is away."""
    real, left = backends.append, iter(range(count))

    def append(*args: Any, **options: Any) -> backends.Appended:
        if next(left, None) is None:
            raise ConnectionError("away")
        return real(*args, **options)

    return append


def test_append__finishes_a_repair_that_was_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    for location in many_locations(5):
        writer.append([location])
    lose_journal()
    with monkeypatch.context() as patch:
        patch.setattr(backends, "append", down_after(3))
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
    old, real = reader.last_ticket(), backends.append

    def lose_and_notice(*args: Any, **options: Any) -> backends.Appended:
        monkeypatch.setattr(backends, "append", real)
        lose_journal()
        writer.append([a_location("20.0.0.2")])
        return real(*args, **options)

    monkeypatch.setattr(backends, "append", lose_and_notice)
    writer.append([a_location("20.0.0.3")])

    held = writer.process_writer.held
    assert all(record.segment_number > old for record in held)
    assert addresses([record.text for record in held]) == {
        f"20.0.0.{number}" for number in (1, 2, 3)
    }


def test_append__lets_go_of_what_is_flushed() -> None:
    writer.append([a_location("20.0.0.1")])
    reader.publish(reader.Position(passed(is_sealed=True)))

    writer.append([a_location("20.0.0.2")])

    assert len(writer.process_writer.held) == 1


def test_append__holds_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "HELD_BYTES", 1000)

    for location in many_locations(50):
        writer.append([location])

    assert 0 < writer.process_writer.held_bytes <= 1000
    held = writer.process_writer.held
    assert writer.process_writer.held_bytes == sum(len(record.text) for record in held)


@pytest.mark.parametrize("size", [1, 50, 200])
def test_append__the_limit_counts_answers(settings: Any, size: int) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BACKLOG_LIMIT": 400}
    for _ in range(400 // size):
        writer.append(many_locations(size))

    with pytest.raises(JournalUnavailable, match="limit of 400 answers"):
        writer.append([a_location()])


@pytest.mark.django_db
def test_append__more_at_once_than_the_limit_is_refused_whole(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BACKLOG_LIMIT": 50}
    writer.append([a_location()])

    with pytest.raises(JournalUnavailable, match="limit"):
        writer.append(many_locations(50))

    assert journal_backlog.read_backlog().answer_count == 1


def test_append__what_is_refused_costs_no_ticket(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BACKLOG_LIMIT": 1}
    writer.append([a_location()])
    last = reader.last_ticket()

    for _ in range(100):
        with pytest.raises(JournalUnavailable):
            writer.append([a_location()])

    assert reader.last_ticket() == last


def test_append__goes_on_when_another_process_has_flushed(settings: Any) -> None:
    settings.GEOCACHE = {**settings.GEOCACHE, "BACKLOG_LIMIT": 1}
    writer.append([a_location()])
    reader.count_deleted(1)

    writer.append([a_location("20.0.0.2")])


def test_append__segments_that_wait_are_bounded_before_they_count_as_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_segments, "MAX_WAITING", 3)
    reader.publish(reader.Position(reader.last_ticket()))
    for _ in range(4):
        writer.append([a_location()])
        writer.process_writer.open_segments.clear()
    last = reader.last_ticket()

    with pytest.raises(JournalUnavailable, match="segments of the journal wait"):
        writer.append([a_location()])

    assert reader.last_ticket() == last


def test_tickets__and_flush_numbers_are_exact_as_doubles_until_2090() -> None:
    seconds_until_2090 = 120 * 365 * 86400
    seed = (seconds_until_2090 - journal_segments.SEED_EPOCH) * journal_segments.SEEDS_PER_SECOND
    assert (seed + 1) * journal_segments.SEED_STEP < 2**53
    assert journal_segments.FLUSH_SEEDS * 2 < 2**53
    assert reader.last_ticket() < 2**53


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


def test_close_segments__seals_behind_the_last_record() -> None:
    writer.append([a_location()])
    number = reader.last_ticket()

    close_segment(number)

    backend = backends.current()
    assert backend.get(journal_segments.record_key(number, 1)) == journal_segments.SEAL
    assert not backend.add(journal_segments.record_key(number, 1), "late", timeout=None)


def test_close_segments__of_nothing_is_untouched_and_sealed() -> None:
    number = reader.last_ticket()

    segment = close_segment(number)

    assert segment.is_untouched
    assert backends.current().get(journal_segments.record_key(number, 0)) == journal_segments.SEAL


def test_close_segments__twice_gives_the_same_records() -> None:
    writer.append(many_locations(3))
    number = reader.last_ticket()

    assert close_segment(number).records == close_segment(number).records


def test_close_segments__reads_a_record_that_came_before_its_seal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer.append([a_location("20.0.0.1")])
    number = reader.last_ticket()
    real_add = backends.add_many

    def overtaken_add(backend: BaseCache, keys: list[str], *args: Any) -> set[str]:
        if keys == [journal_segments.record_key(number, 1)]:
            backend.add(keys[0], dump_locations([a_location("20.0.0.2")]), timeout=None)
        return real_add(backend, keys, *args)

    monkeypatch.setattr(backends, "add_many", overtaken_add)

    segment = close_segment(number)

    assert addresses(list(segment.records.values())) == {"20.0.0.1", "20.0.0.2"}


def test_close_segments__counts_a_gap_as_lost_and_seals_it() -> None:
    for location in many_locations(3):
        writer.append([location])
    number = reader.last_ticket()
    backends.current().delete(journal_segments.record_key(number, 1))

    segment = close_segment(number)

    assert segment.lost_count == 1
    assert len(segment.records) == 2
    assert backends.current().get(journal_segments.record_key(number, 1)) == journal_segments.SEAL


def test_close_segments__reads_a_record_that_a_replica_did_not_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for location in many_locations(3):
        writer.append([location])
    number = reader.last_ticket()
    real_get_many = backends.get_many
    hidden = [journal_segments.record_key(number, 1)]

    def replica_get_many(backend: BaseCache, keys: list[str]) -> dict[str, Any]:
        found = real_get_many(backend, keys)
        if hidden:
            found.pop(hidden.pop(), None)
        return found

    monkeypatch.setattr(backends, "get_many", replica_get_many)

    segment = close_segment(number)

    assert not segment.lost_count
    assert len(segment.records) == 3


def test_close_segments__of_many_gives_each_its_records_in_order() -> None:
    numbers = []
    for count in (1, 2, 64, 3, *[1] * 20):
        for location in many_locations(count):
            writer.append([location])
        numbers.append(reader.last_ticket())
        writer.process_writer.open_segments.clear()
    numbers.append(numbers[-1] + 1)

    closed = list(reader.close_segments(numbers))

    assert [segment.number for segment in closed] == numbers
    assert [len(segment.records) for segment in closed] == [1, 2, 64, 3, *[1] * 20, 0]
    assert [segment.is_untouched for segment in closed] == [*[False] * 24, True]
    assert not any(segment.lost_count for segment in closed)


@pytest.mark.parametrize(
    ("length", "steps"),
    [(5, [1, 2, 4, 8, 8, 7]), (12, [1, 2, 4, *[2, 4] * 3, 2, 3]), (100, [1] * 30)],
    ids=["short", "middling", "long"],
)
def test_close_segments__reads_several_at_once_while_they_hold_little(
    monkeypatch: pytest.MonkeyPatch, length: int, steps: list[int]
) -> None:
    monkeypatch.setattr(reader, "READ_LENGTH", 80)
    asked: list[int] = []

    def close_some(numbers: list[int]) -> list[reader.ClosedSegment]:
        asked.append(len(numbers))
        return [reader.ClosedSegment(number, {"key": "x" * length}) for number in numbers]

    monkeypatch.setattr(reader, "close_some", close_some)

    closed = list(reader.close_segments(range(30)))

    assert [segment.number for segment in closed] == list(range(30))
    assert asked == steps


def test_close_segments__seals_behind_a_full_one() -> None:
    for location in many_locations(64):
        writer.append([location])

    segment = close_segment(reader.last_ticket())

    assert len(segment.records) == 64
    assert not segment.lost_count
    key = journal_segments.record_key(segment.number, 64)
    assert backends.current().get(key) == journal_segments.SEAL


def test_append__journals_again_what_a_flush_did_not_see_when_it_passed() -> None:
    for location in many_locations(3):
        writer.append([location])
    number = reader.last_ticket()
    # Restored to a state from before the last two were added.
    keys = [journal_segments.record_key(number, index) for index in (1, 2)]
    backends.current().delete_many(keys)
    reader.forget(close_segment(number).records)
    reader.publish(reader.Position(number))
    writer.process_writer.open_segments.clear()

    with capture_logs() as logs:
        writer.append([a_location()])

    assert [entry["event"] for entry in logs] == ["geo_journal_repaired"]
    given = {location.address for location in many_locations(3)}
    assert addresses(all_records(first=number + 1)) == {*given, a_location().address}


def test_append__journals_again_what_another_writer_replaced_in_a_restored_cache() -> None:
    lost, other, new = many_locations(3)
    writer.append([lost])
    number, backend = reader.last_ticket(), backends.current()
    # Restored to a state from before, in which another process takes the same number and adds as
    # many records.
    backend.delete_many(
        [journal_segments.record_key(number, 0), journal_segments.owner_key(number)]
    )
    backend.incr(journal_segments.key(journal_segments.Name.TICKET), -1)
    writer.Writer().append(dump_locations([other]))
    assert passed(is_sealed=True) == number
    reader.publish(reader.Position(number))
    writer.process_writer.open_segments.clear()

    with capture_logs() as logs:
        writer.append([new])

    assert [entry["event"] for entry in logs] == ["geo_journal_repaired"]
    assert addresses(all_records(first=number + 1)) == {lost.address, new.address}


@pytest.mark.parametrize("count", [1, 63, 64, 65])
def test_append__sees_no_loss_in_what_a_flush_has_passed(count: int) -> None:
    for location in many_locations(count):
        writer.append([location])
    last = passed(is_sealed=True)
    reader.publish(reader.Position(last))

    with capture_logs() as logs:
        writer.append([a_location()])

    assert logs == []
    assert len(writer.process_writer.held) == 1


def test_forget_segments__deletes_records_but_never_a_seal() -> None:
    writer.append([a_location()])
    number = reader.last_ticket()
    close_segment(number)

    reader.forget_segments(number, number)

    backend = backends.current()
    assert backend.get(journal_segments.record_key(number, 0)) is None
    assert backend.get(journal_segments.record_key(number, 1)) == journal_segments.SEAL


@pytest.mark.django_db
def test_backlog__is_empty_at_first() -> None:
    backlog = journal_backlog.read_backlog()

    assert (backlog.answer_count, backlog.oldest_at) == (0, None)


@pytest.mark.django_db
def test_backlog__counts_answers_and_knows_the_oldest() -> None:
    writer.append(many_locations(250))

    backlog = journal_backlog.read_backlog()

    assert (backlog.answer_count, backlog.oldest_at) == (250, NOON)


@pytest.mark.django_db
def test_backlog__is_counted_without_reading_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(200):
        writer.append(many_locations(200))
    real, asked = journal_segments.read, []

    def read(backend: Any, keys: list[str]) -> dict[str, str]:
        asked.extend(keys)
        return real(backend, keys)

    monkeypatch.setattr(journal_segments, "read", read)

    backlog = journal_backlog.read_backlog()

    assert (backlog.answer_count, backlog.oldest_at) == (40_000, NOON)
    assert len(asked) < 20


@pytest.mark.django_db
def test_recount__of_many_is_an_estimate_and_not_what_was_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_backlog, "READ_SEGMENTS", 8)
    monkeypatch.setattr(journal_backlog, "SAMPLED_SEGMENTS", 4)
    head = reader.last_ticket()
    for location in many_locations(64 * 10):
        writer.append([location])
    reader.count_deleted(10_000)

    assert journal_backlog.recount(head) == pytest.approx(640, rel=0.3)


@pytest.mark.django_db
def test_recount__finds_what_a_killed_writer_did_not_count() -> None:
    head = reader.last_ticket()
    writer.append(many_locations(250))
    reader.count_deleted(100)

    assert journal_backlog.recount(head) == 250
    assert journal_backlog.read_backlog().answer_count == 250


@pytest.mark.django_db
def test_find__newest_answer_for_an_address_behind_the_head() -> None:
    head = JournalHead.of(journal_segments.journal_name())
    newer = a_location("8.8.8.8", resolved_at=NOON + timedelta(seconds=1))
    writer.append([newer, *many_locations(3)])
    writer.append([a_location("8.8.8.8"), a_location("8.8.8.88")])

    assert journal_backlog.find("8.8.8.8") == newer
    assert journal_backlog.find("8.8.8.88") == a_location("8.8.8.88")
    assert journal_backlog.find("8.8.8.") is None
    JournalHead.advance(head.alias, flushed_through=reader.last_ticket())
    assert journal_backlog.find("8.8.8.8") is None


@pytest.mark.django_db
def test_find__passes_over_a_record_that_cannot_be_read() -> None:
    writer.append([a_location("8.8.8.8")])
    key = journal_segments.record_key(reader.last_ticket(), 1)
    backends.current().add(key, 'nonsense with "8.8.8.8"')

    assert journal_backlog.find("8.8.8.8") == a_location("8.8.8.8")


def test_lock__is_free_again_afterwards() -> None:
    with reader.lock(60):
        assert backends.current().get(journal_segments.key(journal_segments.Name.LOCK))

    assert backends.current().get(journal_segments.key(journal_segments.Name.LOCK)) is None


def test_lock__of_another_is_waited_for_then_passed_and_left_alone() -> None:
    backends.current().add(journal_segments.key(journal_segments.Name.LOCK), "another-", timeout=60)

    with reader.lock(60, wait_seconds=0.01):
        pass

    assert backends.current().get(journal_segments.key(journal_segments.Name.LOCK)) == "another-"


def test_lock__says_whether_it_is_held() -> None:
    with reader.lock(60) as first, reader.lock(60, wait_seconds=0.0) as second:
        assert (first, second) == (True, False)
    with reader.lock(60) as again:
        assert again


def test_append__beside_a_thread_that_knows_a_later_flush_repairs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    locations = many_locations(3)
    writer.append(locations[:1])
    reader.begin_flush()
    next_ticket = journal_segments.next_ticket

    def another_thread_is_faster(*given: Any) -> int:
        # After this one has read the number of the last flush.
        monkeypatch.undo()
        reader.begin_flush()
        writer.append(locations[1:2])
        return next_ticket(*given)

    monkeypatch.setattr(journal_segments, "next_ticket", another_thread_is_faster)

    with capture_logs() as logs:
        writer.append(locations[2:])

    assert logs == []
