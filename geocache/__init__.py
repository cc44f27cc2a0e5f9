"""Answer "where is this IP address?" on any Django page, and remember the answer."""

__version__ = "0.1.0"
