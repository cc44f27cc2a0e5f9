"""The project as in production, with two pages of one view's work: with geocache and without."""

from project.settings import *  # noqa: F403

ROOT_URLCONF = "tests.benchmarks.load_site"
ALLOWED_HOSTS = ["127.0.0.1"]
DEBUG = False
# Ten times as often as by default: in a run of seconds some flushes fall into it.
GEOCACHE = {**GEOCACHE, "FLUSH_INTERVAL_SECONDS": 6, "UPDATE_DAYS": 0}  # noqa: F405
