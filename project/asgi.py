"""The ASGI entry point."""

import os

from django.core.asgi import get_asgi_application
from django.utils.module_loading import import_string

from project.body_limit import limit_body

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

application = limit_body(get_asgi_application())

# By its name, as settings name it: Django is set up by now. Each worker of uvicorn imports this
# module, and has no other hook.
import_string("geocache.health.warm_up.warm_up")()
