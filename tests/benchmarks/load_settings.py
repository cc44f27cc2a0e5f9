"""The project as in production, with pages of one view's work: with geocache and without."""

from project.settings import *  # noqa: F403

ROOT_URLCONF = "tests.benchmarks.load_site"
ALLOWED_HOSTS = ["127.0.0.1"]
DEBUG = False
MIDDLEWARE = [
    # Without whitenoise, which serves no page here: it has no asynchronous way, and each request to
    # an asynchronous view would take one thread more.
    *(one for one in MIDDLEWARE if not one.startswith("whitenoise.")),  # noqa: F405
    "geocache.middleware.GeoMiddleware",
]
GEOCACHE = {
    **GEOCACHE,  # noqa: F405
    # Ten times as often as by default: in a run of seconds some flushes fall into it.
    "FLUSH_INTERVAL_SECONDS": 6,
    "UPDATE_DAYS": 0,
    # Where wrk is, which says whom it stands for.
    "TRUSTED_PROXIES": ["127.0.0.1"],
}
