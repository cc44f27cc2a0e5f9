"""Django's own user model, as ``startproject`` leaves it."""

from config.settings import *

AUTH_USER_MODEL = "auth.User"
INSTALLED_APPS = [app for app in INSTALLED_APPS if app != "accounts"]
