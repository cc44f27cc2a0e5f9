"""A project of Django's own apps and, where ``BENCHMARK_APP`` names it, geocache beside them."""

import os

FOLDER = os.environ["BENCHMARK_FOLDER"]
SECRET_KEY = "of a benchmark"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{FOLDER}/db.sqlite3"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if app := os.environ.get("BENCHMARK_APP"):
    INSTALLED_APPS.append(app)
    GEOCACHE = {"VAR_DIR": FOLDER}
    if url := os.environ.get("CACHE_URL"):
        CACHES["geocache"] = {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "KEY_PREFIX": os.environ["CACHE_KEY_PREFIX"],
            "OPTIONS": {"serializer": "geocache.cache.backends.TextSerializer"},
        }
USE_TZ = True
