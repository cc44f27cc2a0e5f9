"""Reads go to a replica."""

from config.settings import *

DATABASES["replica"] = {
    **DATABASES["default"],
    # Of the same file: a replica that does not lag. What is written to it is an error.
    "OPTIONS": {"init_command": "PRAGMA query_only = ON"},
    "TEST": {"MIRROR": "default"},
}
DATABASE_ROUTERS = ["config.routers.ReplicaRouter"]
