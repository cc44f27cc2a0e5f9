from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.database_server import Service, serving


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    """Where databases are fetched to: a folder of the test's own."""
    settings.GEOCACHE = {**settings.GEOCACHE, "VAR_DIR": tmp_path / "var"}
    return tmp_path / "var" / "databases"
