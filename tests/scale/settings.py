"""The project's settings for one process of a run: which group it is of, and which it flushes."""

import json
import os

from project.settings import *  # noqa: F403 - all of them

CACHES |= json.loads(os.environ["GEOCACHE_SCALE_CACHES"])  # noqa: F405 - from the settings
GEOCACHE |= {  # noqa: F405
    "CACHE_ALIAS": os.environ["GEOCACHE_SCALE_ALIAS"],
    "CACHE_ALIASES": os.environ.get("GEOCACHE_SCALE_ALIASES", "").split(),
    # Nothing leaves this machine, and nothing but the writers changes answers.
    "UPDATE_DAYS": 0,
    "REFRESH_TIME_LIMIT_SECONDS": 0,
    # The run finds out what a backlog costs.
    "BACKLOG_LIMIT": 10_000_000,
}
LOGGING = {"version": 1, "disable_existing_loggers": False, "root": {"level": "ERROR"}}
