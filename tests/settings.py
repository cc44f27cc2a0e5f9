"""The project's own settings on a folder that is thrown away; services come from the environment."""

import atexit
import os
import shutil
import tempfile

_folder = tempfile.mkdtemp(prefix="geocache-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
os.environ["GEOCACHE_VAR_DIR"] = _folder
os.environ["DEBUG"] = "true"
os.environ.pop("GEOCACHE_DATABASES", None)

from project.settings import *  # noqa: E402, F403 - after the environment is set

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
