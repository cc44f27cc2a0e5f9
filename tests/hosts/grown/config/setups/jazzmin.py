"""The admin in django-jazzmin's looks."""

from config.settings import *

INSTALLED_APPS = ["jazzmin", *INSTALLED_APPS]
