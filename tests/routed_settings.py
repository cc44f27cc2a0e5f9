"""The tests' settings with a router: geocache in a database of its own, or read from a replica."""

import os
from pathlib import Path
from typing import Any

from tests.settings import *  # noqa: F403

# "geo": all of geocache but its API tokens is there. "replica": everything is read from there.
ROUTED_TO = os.environ["GEOCACHE_TEST_ROUTED_TO"]
DATABASES[ROUTED_TO] = {  # noqa: F405 - from the settings
    **DATABASES["default"],  # noqa: F405
    "NAME": os.environ["GEOCACHE_TEST_ROUTED_NAME"],
}
DATABASE_ROUTERS = [f"{__name__}.{ROUTED_TO.title()}Router"]
# What people copy.
_PAGE = (Path(__file__).resolve().parent.parent / "docs/databases.md").read_text()
exec(_PAGE.partition("```python\n")[2].partition("```")[0])  # makes GeoRouter
GEOCACHE["BAN_ACTION"] = {"BACKEND": "tests.support.ban_actions.RecordingAction"}  # noqa: F405


class ReplicaRouter:
    """A replica that is migrated, and then lags indefinitely."""

    def db_for_read(self, model: Any, **_: Any) -> str | None:
        return "replica" if model._meta.app_label == "geocache" else None

    def db_for_write(self, *_: Any, **__: Any) -> str:
        return "default"

    def allow_relation(self, *_: Any, **__: Any) -> bool:
        return True
