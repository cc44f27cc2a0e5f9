"""The bundled project's settings with views that ask a web service, at ``SERVICE_PORT``."""

import os

from project.settings import *  # noqa: F403

ROOT_URLCONF = "tests.support.async_site.urls"
ALLOWED_HOSTS = ["*"]
MIDDLEWARE = ["geocache.middleware.GeoMiddleware"]
GEOCACHE = {
    **GEOCACHE,  # noqa: F405
    "UPDATE_DAYS": 0,
    # The client, which says whom it stands for.
    "TRUSTED_PROXIES": ["127.0.0.1"],
    "PROVIDER": {
        "BACKEND": "geocache.providers.http.json_service.HttpJsonProvider",
        "OPTIONS": {
            "name": "slow service",
            "url": f"http://127.0.0.1:{os.environ['SERVICE_PORT']}/{{address}}",
            "fields": {"country_code": "country", "city": "city"},
            "timeout_seconds": 30.0,
        },
    },
}
