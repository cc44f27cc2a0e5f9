"""PostgreSQL by a pool of connections in each process, as psycopg has it."""

import os

from config.settings import *

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["HOST_POSTGRES"],
        "PORT": os.environ["HOST_POSTGRES_PORT"],
        "NAME": os.environ["HOST_DATABASE"],
        "USER": "postgres",
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 4}},
    }
}
