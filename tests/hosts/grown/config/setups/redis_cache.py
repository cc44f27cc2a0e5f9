"""Redis by Django's own backend, as the README shows it."""

import os

from config.settings import *

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "geocache": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ["HOST_REDIS_URL"],
        "KEY_PREFIX": os.environ["HOST_KEY_PREFIX"],
        "OPTIONS": {"serializer": "geocache.cache.backends.TextSerializer"},
    },
}
