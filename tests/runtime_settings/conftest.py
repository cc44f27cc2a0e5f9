import pytest

from geocache.cache import backends


@pytest.fixture
def used_cache() -> None:
    """Have the embedded cache be there: as long as it has no answer, it holds no document."""
    backends.current().set("used", 1)
