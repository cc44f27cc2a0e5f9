"""A small site, as ``startproject`` makes it, with geocache."""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "of a test"
USE_TZ = True
ROOT_URLCONF = "mysite.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "geocache",
]
MIDDLEWARE = ["geocache.middleware.GeoMiddleware"]
STATIC_URL = "static/"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
SILENCED_SYSTEM_CHECKS = ["geocache.W004"]
