"""Members with an e-mail address and a UUID; nothing else changed."""

from config.settings import *
