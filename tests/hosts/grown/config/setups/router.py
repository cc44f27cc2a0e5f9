"""geocache in a database of its own."""

from config.settings import *

DATABASES["geo"] = {**DATABASES["default"], "NAME": BASE_DIR / "geo.sqlite3"}
DATABASE_ROUTERS = ["config.routers.GeoRouter"]
