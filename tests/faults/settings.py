"""The project's settings with short intervals, for the processes of one run."""

import json
import os

if os.environ.get("DATABASE_URL", "").startswith("mysql:"):
    import pymysql

    # Django asks for mysqlclient, of which PyMySQL is a stand-in, by this version.
    pymysql.version_info = (2, 2, 7, "final", 0)
    pymysql.install_as_MySQLdb()

from project.settings import *  # noqa: F403 - after the driver is in place

GEOCACHE |= {  # noqa: F405
    # A flusher that was killed keeps the lock for the time limit.
    "FLUSH_INTERVAL_SECONDS": 1,
    "FLUSH_TIME_LIMIT_SECONDS": 1,
    # Nothing leaves this machine, and nothing but the writers changes answers.
    "UPDATE_DAYS": 0,
    "REFRESH_TIME_LIMIT_SECONDS": 0,
}

# A cache that no URL names.
if _cache := json.loads(os.environ.get("GEOCACHE_FAULTS_CACHE", "null")):
    CACHES["geocache"] = {"KEY_PREFIX": os.environ["CACHE_KEY_PREFIX"], **_cache}  # noqa: F405
