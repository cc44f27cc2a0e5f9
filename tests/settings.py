"""The project's own settings, in a folder that is thrown away."""

import atexit
import os
import shutil
import tempfile

import structlog

_folder = tempfile.mkdtemp(prefix="geocache-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
os.environ["GEOCACHE_VAR_DIR"] = _folder
os.environ["DEBUG"] = "true"
for _name in ("GEOCACHE_DATABASES", "GEOCACHE_MAXMIND_ACCOUNT_ID", "GEOCACHE_MAXMIND_LICENSE_KEY"):
    os.environ.pop(_name, None)
# No scheduler that a test starts leaves this machine, or changes the rows that the test has made.
os.environ["GEOCACHE_UPDATE_DAYS"] = os.environ["GEOCACHE_REFRESH_SECONDS"] = "0"
os.environ["GEOCACHE_LICENCE_CLEANUP"] = "false"

os.makedirs(os.path.join(_folder, "static"))  # noqa: PTH103, PTH118 - WhiteNoise warns without it

from project.settings import *  # noqa: E402, F403 - after the environment is set

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405 - from the settings
    # A file, as in production: threads and real processes share it, WAL and its locks are real.
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(_folder, "test.sqlite3")}  # noqa: F405, PTH118

# Loggers that keep their processors could not be captured by a test.
structlog.configure(cache_logger_on_first_use=False)

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# As in production, and as pytest has it: benchmarks, too, are without Django's list of all queries.
DEBUG = False

# Another app beside geocache, as every project has.
INSTALLED_APPS = [*INSTALLED_APPS, "tests.visits"]  # noqa: F405 - from the settings

# The tests of the documents send mail. Django 6.1 warns of its own default, older ones ignore this.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
