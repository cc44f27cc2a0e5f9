"""Answer "where is this IP address?" on any Django page, and remember the answer.

``docs/public-api.md`` lists what other projects may import; all other modules are internal.
"""

__version__ = "0.2.0"
