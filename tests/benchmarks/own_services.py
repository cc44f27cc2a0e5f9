"""A database and keys of their own for a benchmark, on the environment's services."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_services() -> Iterator[None]:
    """Set Django up; remove again what the benchmark has written."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    os.environ["CACHE_KEY_PREFIX"] = f"geocache-benchmark-{uuid.uuid4().hex[:8]}"
    os.environ.setdefault("LOG_LEVEL", "ERROR")

    import django

    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    from tests.benchmarks import keys

    databases = setup_databases(verbosity=0, interactive=False)
    try:
        yield
    finally:
        keys.remove()
        teardown_databases(databases, verbosity=0)
