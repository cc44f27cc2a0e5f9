"""Reads go to a replica."""

import sys

from config.settings import *

# What a TestCase writes is in a transaction, which no replica sees.
if "test" not in sys.argv:
    DATABASES["replica"] = {
        **DATABASES["default"],
        # Of the same file: a replica that does not lag. What is written to it is an error.
        "OPTIONS": {"init_command": "PRAGMA query_only = ON"},
    }
    DATABASE_ROUTERS = ["config.routers.ReplicaRouter"]
