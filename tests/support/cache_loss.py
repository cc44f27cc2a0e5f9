"""What a cache may lose."""

from geocache.cache import backends
from geocache.journal import reader, segments, writer


def lose_journal() -> None:
    """Take from the cache all that the journal has there, as ``clear()`` or a restart does.

    The keys of this test alone: the same server may hold those of tests that run beside it.
    """
    last = reader.last_ticket()
    reader.forget_segments(segments.base_of(last), last)
    backends.current().delete_many([segments.TICKET_KEY, segments.HEAD_KEY])
    # The next answer takes a new ticket, as it does half a minute later.
    writer.process_writer.open_segments.clear()
