"""All pages below a prefix of their language, here German."""

from config.settings import *

LANGUAGE_CODE = "de"
ROOT_URLCONF = "config.language_urls"
