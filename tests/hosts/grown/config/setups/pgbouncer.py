"""PostgreSQL behind pgbouncer, which gives each transaction another connection."""

import os
import sys

from config.settings import *

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": os.environ["HOST_PGBOUNCER_PORT"],
        "NAME": os.environ["HOST_DATABASE"],
        "USER": "postgres",
        "CONN_MAX_AGE": None,
        "DISABLE_SERVER_SIDE_CURSORS": True,
    }
}
if "test" in sys.argv:
    # What pgbouncer holds open cannot be dropped after the tests.
    DATABASES["default"]["HOST"] = os.environ["HOST_POSTGRES"]
    DATABASES["default"]["PORT"] = os.environ["HOST_POSTGRES_PORT"]
