"""Addresses that were forgotten, so that an answer from before does not come back."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import models
from django.utils.crypto import salted_hmac

from geocache.instants import InstantField, utc_now
from geocache.models.written import WrittenModel

# How long an answer may be under way: kept by a process without cache and database, say.
KEPT_DAYS: Final = 30
# Rows of one statement.
CHUNK_ROWS: Final = 1_000


class Tombstone(WrittenModel):
    """That an address was forgotten, and when; not which one, but to those who ask for it."""

    # Keyed with the site's SECRET_KEY: without it the few IPv4 addresses could all be tried.
    digest = models.CharField(max_length=64, primary_key=True)
    forgotten_at = InstantField()

    def __str__(self) -> str:
        return f"{self.digest[:8]}: {self.forgotten_at:%Y-%m-%d %H:%M:%S}"

    @classmethod
    def bury(cls, addresses: Sequence[str]) -> None:
        """Note that ``addresses`` are forgotten now; in a transaction with ``JournalHead.lock``."""
        now = utc_now()
        rows = cls.written()
        rows.filter(forgotten_at__lt=now - timedelta(days=KEPT_DAYS)).delete()
        digests = sorted(map(_digest, set(addresses)))
        for start in range(0, len(digests), CHUNK_ROWS):
            some = digests[start : start + CHUNK_ROWS]
            rows.filter(digest__in=some).delete()
            rows.bulk_create([cls(digest=digest, forgotten_at=now) for digest in some])

    @classmethod
    def moments(cls, addresses: Iterable[str]) -> dict[str, datetime]:
        """Return when those of ``addresses`` were forgotten that are, by address."""
        rows = cls.written()
        if not rows.exists():
            return {}
        by_digest = {_digest(address): address for address in addresses}
        digests = list(by_digest)
        found: dict[str, datetime] = {}
        for start in range(0, len(digests), CHUNK_ROWS):
            some = rows.filter(digest__in=digests[start : start + CHUNK_ROWS])
            found |= dict(some.values_list("digest", "forgotten_at"))
        return {by_digest[digest]: moment for digest, moment in found.items()}


def _digest(address: str) -> str:
    return salted_hmac("geocache.Tombstone", address, algorithm="sha256").hexdigest()
