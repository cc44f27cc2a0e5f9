"""geocache's pages inside the frame of the host."""

from config.settings import *

GEOCACHE |= {"BASE_TEMPLATE": "base.html"}
