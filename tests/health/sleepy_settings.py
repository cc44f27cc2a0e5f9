"""The bundled project with a provider that hangs."""

import time
from collections.abc import Iterable

from geocache.providers.dummy import DummyProvider
from project.settings import *  # noqa: F403
from project.settings import GEOCACHE as GIVEN

GEOCACHE = {**GIVEN, "PROVIDER": {"BACKEND": "tests.health.sleepy_settings.SleepyProvider"}}


class SleepyProvider(DummyProvider):
    def sources(self) -> Iterable[object]:
        time.sleep(60)
        return ()
