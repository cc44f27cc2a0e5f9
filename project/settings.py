"""Settings from the environment. With nothing set: SQLite and an embedded cache under ``var/``."""

from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from project import environment, languages, logs

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = environment.var_dir(BASE_DIR / "var")

# On for whoever tries it on a laptop: Django then answers to this machine's own names only.
DEBUG = environment.flag("DEBUG", default=True)
SECRET_KEY = environment.secret_key(VAR_DIR, is_debug=DEBUG)
ALLOWED_HOSTS = environment.listed("ALLOWED_HOSTS")
if not DEBUG and not ALLOWED_HOSTS:
    raise ImproperlyConfigured(
        "ALLOWED_HOSTS is not set; name the hosts that this site answers to."
    )
CSRF_TRUSTED_ORIGINS = environment.listed("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_apscheduler",
    "geocache",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Last: it turns a log-in that was refused into a page that says so.
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": environment.database(VAR_DIR)}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "geocache": environment.geocache_cache(VAR_DIR),
}
GEOCACHE = {
    "VAR_DIR": VAR_DIR,
    "PROVIDER": environment.geocache_provider(),
    "DATABASES": environment.listed("GEOCACHE_DATABASES"),
    "SOURCES": environment.json_object("GEOCACHE_SOURCES"),
    "LICENCE_CLEANUP": environment.flag("GEOCACHE_LICENCE_CLEANUP", default=True),
    "PUBLIC_LOOKUP": environment.flag("GEOCACHE_PUBLIC_LOOKUP", default=False),
    "VISITOR_ADDRESS": environment.env.str("GEOCACHE_VISITOR_ADDRESS", default=""),
    "TRUSTED_PROXIES": environment.listed("GEOCACHE_TRUSTED_PROXIES"),
    "CLIENT_IP_HEADER": environment.env.str("GEOCACHE_CLIENT_IP_HEADER", default="X-Forwarded-For"),
    "EDGE_HEADERS": environment.name_or_json("GEOCACHE_EDGE_HEADERS"),
    "EDGE_PROXIES": environment.listed("GEOCACHE_EDGE_PROXIES"),
    "EDGE_MODE": environment.env.str("GEOCACHE_EDGE_MODE", default="merge"),
    "METRICS_TOKEN": environment.env.str("GEOCACHE_METRICS_TOKEN", default="").strip(),
    "METRICS_ADDRESSES": environment.listed("GEOCACHE_METRICS_ADDRESSES"),
    "LOOKUP_RATE": environment.env.str("GEOCACHE_LOOKUP_RATE", default="60000/minute"),
    "PUBLIC_LOOKUP_RATE": environment.env.str(
        "GEOCACHE_PUBLIC_LOOKUP_RATE", default="120/minute; 2000/day"
    ),
    "PUBLIC_TOTAL_RATE": environment.env.str("GEOCACHE_PUBLIC_TOTAL_RATE", default="20000/day"),
    "PUBLIC_QUERY_RATE": environment.env.str("GEOCACHE_PUBLIC_QUERY_RATE", default="100/day"),
    "DAILY_QUOTAS": environment.quotas("GEOCACHE_DAILY_QUOTAS"),
    "ASYNC_THREADS": environment.whole("GEOCACHE_ASYNC_THREADS", default=8),
    "ASYNC_QUERIES": environment.whole("GEOCACHE_ASYNC_QUERIES", default=256),
    "BACKLOG_LIMIT": environment.whole("GEOCACHE_BACKLOG_LIMIT", default=1_000_000),
    "UPDATE_URLS": environment.listed("GEOCACHE_UPDATE_URLS"),
    "DOWNLOAD_PRIVATE_HOSTS": environment.listed("GEOCACHE_DOWNLOAD_PRIVATE_HOSTS"),
    "UPDATE_DAYS": environment.whole("GEOCACHE_UPDATE_DAYS", default=7),
    "MAXMIND_ACCOUNT_ID": environment.env.str("MAXMIND_ACCOUNT_ID", default=""),
    "MAXMIND_LICENSE_KEY": environment.env.str("MAXMIND_LICENSE_KEY", default=""),
    "MAXMIND_EDITIONS": environment.listed(
        "MAXMIND_EDITIONS", default=["GeoLite2-City", "GeoLite2-ASN"]
    ),
    "REFRESH_TIME_LIMIT_SECONDS": environment.whole("GEOCACHE_REFRESH_SECONDS", default=600),
    "RETENTION_DAYS": environment.whole("GEOCACHE_RETENTION_DAYS", default=0),
    "IMPORT_SOURCES": environment.named("GEOCACHE_IMPORT_SOURCES"),
    "IMPORT_OPTIONS": environment.json_object("GEOCACHE_IMPORT_OPTIONS"),
    "IMPORT_HOSTS": environment.listed("GEOCACHE_IMPORT_HOSTS"),
    "IMPORT_HOURS": environment.whole("GEOCACHE_IMPORT_HOURS", default=6),
    "BAN_ACTION": environment.geocache_ban_action(),
    "BANS_ENABLED": environment.flag("GEOCACHE_BANS_ENABLED", default=True),
    "NEVER_BAN": environment.listed("GEOCACHE_NEVER_BAN"),
    "BAN_WIDEST_IPV4": environment.whole("GEOCACHE_BAN_WIDEST_IPV4", default=8),
    "BAN_WIDEST_IPV6": environment.whole("GEOCACHE_BAN_WIDEST_IPV6", default=19),
    "BAN_ALLOW_WIDE": environment.listed("GEOCACHE_BAN_ALLOW_WIDE"),
    "BAN_MIN_SCORES": environment.scores("GEOCACHE_BAN_MIN_SCORES"),
    "LOG_LEVEL": environment.log_level("GEOCACHE_LOG_LEVEL"),
    "LOCKED_SETTINGS": environment.listed("GEOCACHE_LOCKED_SETTINGS"),
}
GEOCACHE["ENVIRONMENT_VARIABLES"] = environment.variables_of(GEOCACHE)

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Who fails too often to log in waits, counted in geocache's cache: a request writes nothing to the
# database. By name and network: one visitor locks out no other one. project.lockout has the limits
# of a network alone.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_HANDLER = "project.lockout.LockoutHandler"
AXES_CACHE = "geocache"
AXES_CLIENT_IP_CALLABLE = "geocache.client_ip.network_of"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_CALLABLE = "project.lockout.locked_out"
# Its tables stay empty.
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "geocache:dashboard"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
# One file a language, for the app and for the project's own templates; makemessages writes it here.
LOCALE_PATHS = [str(BASE_DIR / "geocache" / "locale")]
LANGUAGES = languages.translated(BASE_DIR / "geocache" / "locale")
TIME_ZONE = environment.time_zone(default="UTC")
USE_I18N = True
USE_TZ = True
USE_THOUSAND_SEPARATOR = True

STATIC_URL = "static/"
# Where collectstatic writes. In a container it is a part of the image.
STATIC_ROOT = Path(environment.env.str("STATIC_ROOT", default="") or VAR_DIR / "static")
if not DEBUG:
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }

# A pasted log is larger than Django's 2.5 MB; the form itself says what is too much.
DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * 2**20
# Django's own write what a stranger sends to /login/ to the disk, before the check of CSRF refuses.
FILE_UPLOAD_HANDLERS = ["geocache.web.uploads.BoundedUploadHandler"]

# django-csp, and not what Django 6 brings: one way for both releases. Nothing inline, and nothing
# from another host; data: is for the small images inside the admin's stylesheets.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
# The address of a page holds the one that is looked up: no other site is told. Django's check of
# forms needs it on this one.
SECURE_REFERRER_POLICY = "same-origin"

# Behind plain HTTP on purpose (a closed network): HTTPS=false.
IS_HTTPS = environment.flag("HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = IS_HTTPS
# Probes ask a process directly, and take a redirect for success.
SECURE_REDIRECT_EXEMPT = [r"^(?:.*/)?health/(?:live|ready)/?$"]
SESSION_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_SECURE = IS_HTTPS
SECURE_HSTS_SECONDS = environment.whole("HSTS_SECONDS", default=31_536_000 if IS_HTTPS else 0)
# Both bind more than this site, and cannot be taken back in browsers that have seen them.
SECURE_HSTS_INCLUDE_SUBDOMAINS = environment.flag("HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = environment.flag("HSTS_PRELOAD", default=False)
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS_INCLUDE_SUBDOMAINS is the owner's choice: others serve those names
    "security.W021",  # and so is HSTS_PRELOAD
]
if DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    # It has no partial indexes: the list of unresolved addresses reads the whole table.
    SILENCED_SYSTEM_CHECKS.append("models.W037")
# Only behind a proxy that always sets this header itself.
if environment.flag("TRUST_X_FORWARDED_PROTO", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOGGING = logs.configure(environment.env.str("LOG_LEVEL", default="INFO").upper())

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
