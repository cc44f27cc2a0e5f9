"""The admin in django-unfold's looks."""

from config.settings import *

INSTALLED_APPS = ["unfold", *INSTALLED_APPS]
