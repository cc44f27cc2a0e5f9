"""PostgreSQL behind pgbouncer, which gives each transaction another connection."""

import os

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
