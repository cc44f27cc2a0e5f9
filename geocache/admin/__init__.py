"""The tables in the Django admin: to find, to read, to export, to flush, to renew, to forget."""

from geocache.admin import addresses, flush_runs, former, rejected, tokens

__all__ = ["addresses", "flush_runs", "former", "rejected", "tokens"]
