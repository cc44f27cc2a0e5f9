"""The bundled project as a test serves it: by any release, with what ``GEOCACHE_SERVED`` says."""

import json
import os

if os.environ.get("DATABASE_URL", "").startswith("mysql:"):
    import pymysql

    # Django asks for mysqlclient, of which PyMySQL is a stand-in, by this version.
    pymysql.version_info = (2, 2, 7, "final", 0)
    pymysql.install_as_MySQLdb()

from project.settings import *  # noqa: F403 - after the driver is in place

GEOCACHE |= json.loads(os.environ.get("GEOCACHE_SERVED", "{}"))  # noqa: F405

# Pages without ``collectstatic``.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
