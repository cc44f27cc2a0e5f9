"""Redis by django-redis, which names its serializer otherwise."""

import os

from config.settings import *

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "geocache": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": os.environ["HOST_REDIS_URL"],
        "KEY_PREFIX": os.environ["HOST_KEY_PREFIX"],
        "OPTIONS": {"SERIALIZER": "geocache.cache.backends.TextSerializer"},
    },
}
