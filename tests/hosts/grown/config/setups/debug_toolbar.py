"""django-debug-toolbar on each page; it wraps cursors and caches."""

from config.settings import *

DEBUG = True
INSTALLED_APPS = [*INSTALLED_APPS, "debug_toolbar"]
MIDDLEWARE = ["debug_toolbar.middleware.DebugToolbarMiddleware", *MIDDLEWARE]
INTERNAL_IPS = ["127.0.0.1"]
DEBUG_TOOLBAR_CONFIG = {"IS_RUNNING_TESTS": False}
ROOT_URLCONF = "config.debug_urls"
