"""The WSGI entry point."""

import os

from django.core.wsgi import get_wsgi_application

from project.body_limit import read_rest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

application = read_rest(get_wsgi_application())
