"""Settings from the environment. With nothing set: SQLite and an embedded cache under ``var/``."""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from project import environment, logs

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
    "django_apscheduler",
    # For the names of countries in the reader's language.
    "django_countries",
    "geocache",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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
    "DATABASES": environment.listed("GEOCACHE_DATABASES"),
    "PUBLIC_LOOKUP": environment.flag("GEOCACHE_PUBLIC_LOOKUP", default=False),
    "BACKLOG_LIMIT": environment.whole("GEOCACHE_BACKLOG_LIMIT", default=1_000_000),
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "geocache:dashboard"
LOGOUT_REDIRECT_URL = "login"

# In use everywhere, though not (yet) in ISO 3166-1.
COUNTRIES_OVERRIDE = {"XK": "Kosovo"}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("de", _("German"))]
TIME_ZONE = environment.time_zone(default="UTC")
USE_I18N = True
USE_TZ = True
USE_THOUSAND_SEPARATOR = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
if not DEBUG:
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }

# A pasted log is larger than Django's 2.5 MB; the form itself says what is too much.
DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * 2**20

# Behind plain HTTP on purpose (a closed network): HTTPS=false.
IS_HTTPS = environment.flag("HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = IS_HTTPS
SESSION_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_SECURE = IS_HTTPS
SECURE_HSTS_SECONDS = environment.whole("HSTS_SECONDS", default=31_536_000 if IS_HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_HTTPS
SECURE_HSTS_PRELOAD = IS_HTTPS
# Only behind a proxy that always sets this header itself.
if environment.flag("TRUST_X_FORWARDED_PROTO", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOGGING = logs.configure(environment.env.str("LOG_LEVEL", default="INFO").upper())

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
