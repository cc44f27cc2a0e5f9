"""The ASGI entry point."""

import os

from django.core.asgi import get_asgi_application

from project.body_limit import limit_body

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

application = limit_body(get_asgi_application())
