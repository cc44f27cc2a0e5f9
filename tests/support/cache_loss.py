"""Lose what a cache may lose."""

from geocache.cache import backends
from geocache.journal import reader, segments, writer


def lose_journal() -> None:
    """Delete the journal from the cache, as ``clear()`` or a restart does.

    Only the keys of this test: tests that run concurrently may use the same server.
    """
    last = reader.last_ticket()
    reader.forget_segments(segments.base_of(last), last)
    backends.current().delete_many([segments.key(name) for name in segments.Name])
    # The next answer takes a new ticket, as it would half a minute later.
    writer.process_writer.open_segments.clear()
