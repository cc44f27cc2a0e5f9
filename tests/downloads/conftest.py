"""The server and the folder that updates of databases are tried with."""

from tests.databases.conftest import folder, service

__all__ = ["folder", "service"]
