"""geocache below two namespaces of the host, and below a prefix that the web server takes off."""

from config.settings import *

ROOT_URLCONF = "config.nested_urls"
FORCE_SCRIPT_NAME = "/app"
