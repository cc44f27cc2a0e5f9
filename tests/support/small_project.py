"""A small project in one file that installs geocache, with settings of its own for each test."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import ROOT

SETTINGS = """
from pathlib import Path

BASE_DIR = Path(__file__).parent
SECRET_KEY = "x"
DEBUG = True
USE_TZ = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "host_urls"
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "geocache",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    # In the wheel they are in the app's folder.
    "DIRS": [%(templates)r],
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
"""
URLS = """
from django.apps import apps
from django.urls import include, path

urlpatterns = [path("geo/", include("geocache.urls"))]
if apps.is_installed("django.contrib.admin"):
    from django.contrib import admin

    urlpatterns.append(path("admin/", admin.site.urls))
"""
VARIABLES_OF_TESTS = ("DATABASE_URL", "CACHE_URL", "GEOCACHE_VAR_DIR", "PYTHONPATH")


@dataclass(frozen=True, slots=True)
class SmallProject:
    """A project in a folder, whose commands are run in processes of their own."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, settings: str = "", **modules: str) -> "SmallProject":
        """Write its files; ``settings`` follow the usual ones, ``modules`` may be in packages."""
        folder.mkdir(parents=True, exist_ok=True)
        usual = SETTINGS % {"templates": str(ROOT / "templates")}
        sources = {"host_settings": usual + settings, "host_urls": URLS, **modules}
        for name, text in sources.items():
            path = folder / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return cls(folder)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self._run("-m", "django", *arguments)

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run code once Django is set up."""
        return self._run("-c", f"import django; django.setup()\n{code}")

    def files(self) -> set[str]:
        """Return what is in the folder beside its sources."""
        return {
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.suffix != ".py"
        }

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {name: text for name, text in os.environ.items() if name not in VARIABLES_OF_TESTS}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={
                **kept,
                "DJANGO_SETTINGS_MODULE": "host_settings",
                "PYTHONPATH": os.pathsep.join((str(self.folder), str(ROOT))),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
