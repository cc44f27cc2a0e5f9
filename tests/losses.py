"""What a cache may lose."""

from geocache import journal
from geocache.cache import backends


def lose_journal() -> None:
    """Take from the cache all that the journal has there, as ``clear()`` or a restart does.

    The keys of this test alone: the same server may hold those of tests that run beside it.
    """
    last = journal.last_ticket()
    journal.forget_segments(journal.base_of(last), last)
    backends.current().delete_many([journal.TICKET_KEY, journal.HEAD_KEY])
    # The next answer takes a new ticket, as it does half a minute later.
    journal._writer._free.clear()
