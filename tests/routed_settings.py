"""The tests' settings with a router: geocache in a database of its own, or read from a replica."""

import os
from typing import Any

from tests.settings import *  # noqa: F403

# "geo": all of geocache but its API tokens is there. "replica": everything is read from there.
ROUTED_TO = os.environ["GEOCACHE_TEST_ROUTED_TO"]
DATABASES[ROUTED_TO] = {  # noqa: F405 - from the settings
    **DATABASES["default"],  # noqa: F405
    "NAME": os.environ["GEOCACHE_TEST_ROUTED_NAME"],
}
DATABASE_ROUTERS = [f"{__name__}.{ROUTED_TO.title()}Router"]
GEOCACHE["BAN_ACTION"] = {"BACKEND": "tests.support.ban_actions.RecordingAction"}  # noqa: F405


class GeoRouter:
    """The router of docs/databases.md."""

    def db_for_read(self, model: Any, **_: Any) -> str | None:
        return self._alias(model._meta.app_label, model._meta.model_name)

    db_for_write = db_for_read

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **_: Any
    ) -> bool:
        return db == (self._alias(app_label, model_name) or "default")

    def _alias(self, app_label: str, model_name: str | None) -> str | None:
        # A token belongs to a user, whose table is in the default database.
        return "geo" if app_label == "geocache" and model_name != "apitoken" else None


class ReplicaRouter:
    """A replica that is migrated, and then lags indefinitely."""

    def db_for_read(self, model: Any, **_: Any) -> str | None:
        return "replica" if model._meta.app_label == "geocache" else None

    def db_for_write(self, *_: Any, **__: Any) -> str:
        return "default"

    def allow_relation(self, *_: Any, **__: Any) -> bool:
        return True
