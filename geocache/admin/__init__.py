"""The tables in the Django admin: to find, to read, to export, to flush, to renew, to forget."""

from geocache.admin import addresses, blocklists, flush_runs, history, rejected, settings, tokens

__all__ = ["addresses", "blocklists", "flush_runs", "history", "rejected", "settings", "tokens"]
