"""The app's few errors. Each message is one line that a person can act on."""

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar


class GeocacheError(Exception):
    """Base of every error that this app raises on purpose.

    ``page`` names the section of the documents that says what an operator does, if there is one.
    """

    page: ClassVar[str] = ""


class MissingExtra(GeocacheError, ImportError):
    """A package is not installed that an extra of geocache brings."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f'{module} is not installed; install geocache with the extra "{extra}"')


class InvalidAddress(GeocacheError, ValueError):
    """The text is not one IPv4 or IPv6 address (or network, where one is wanted)."""


class RateExceeded(GeocacheError):
    """More addresses are asked for than a limit allows: ``amount`` in its period.

    ``seconds`` is how long to wait; 0: as many at once are never allowed.
    """

    def __init__(self, amount: int, seconds: int) -> None:
        super().__init__(f"at most {amount} are allowed")
        self.amount = amount
        self.seconds = seconds


class ProviderError(GeocacheError):
    """A provider cannot answer now. That is a failure, never the answer "not found"."""

    page = "docs/troubleshooting.md#provider-failed"


class NotVerifiedYet(ProviderError):
    """A database file is new here, and is being verified."""

    page = ""


class UndecodableRecord(GeocacheError, ValueError):
    """Text from the cache is not a record that this release can read."""


class CacheUnavailable(GeocacheError):
    """The cache cannot be used: its library raised an error, which is the cause of this one."""

    page = "docs/troubleshooting.md#cache-unavailable"


class CacheSilent(CacheUnavailable):
    """The cache circuit breaker is open: a recent call timed out."""

    page = "docs/troubleshooting.md#circuit-breaker-open"


class CacheUnusable(CacheUnavailable):
    """The embedded cache cannot be opened, or is read-only, full, or locked for too long."""

    page = "docs/troubleshooting.md#cache-unusable"


class JournalUnavailable(GeocacheError):
    """The journal cannot take or give records: the cache is down, unfit, or over its limit."""

    page = "docs/troubleshooting.md#written-through"


class AllRefused(GeocacheError):
    """The database refuses every answer: it is the database that is broken, not the answers."""

    page = "docs/troubleshooting.md#flush-failed"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the database refuses every answer: {reason}")


class FlushError(GeocacheError):
    """A flush had to stop. Whatever was not flushed stays in the journal."""

    page = "docs/troubleshooting.md#flush-failed"


class PartlyFlushed(FlushError):
    """Of several journals some were flushed, and others could not be."""


class UnreadableText(GeocacheError, ValueError):
    """A file is damaged, or packed in a way that is not known here."""


class InvalidCursor(GeocacheError, ValueError):
    """A text does not name a place in a list."""


class SettingRefused(GeocacheError, ValueError):
    """A setting cannot be changed at run time, or not to this value."""


class JobBusy(GeocacheError):
    """Another process runs this job at this moment."""


class MeteredProvider(GeocacheError):
    """The operation would issue paid queries and was not allowed to."""


class UpdateError(GeocacheError):
    """A database was not fetched; the present one stays in use."""

    page = "docs/troubleshooting.md#update-failed"


class NotPublished(UpdateError):
    """There is nothing at that address, or not yet."""


class TooOften(UpdateError):
    """The service wants to be left alone until ``retry_at``."""

    def __init__(self, message: str, retry_at: datetime) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class UpdateBusy(UpdateError):
    """Another process fetches databases at this moment."""

    page = ""


class ImportFailed(GeocacheError):
    """A list was not applied, or not wholly; the same import again goes on where it was."""

    page = "docs/troubleshooting.md#blocklist-failed"


class ImportBusy(ImportFailed):
    """Another process imports this list at this moment."""

    page = ""


class BanError(GeocacheError):
    """A ban, or the end of one, could not be applied; what was applied is remembered."""

    page = "docs/troubleshooting.md#bans-failed"


class NotInForce(BanError):
    """These ``entries`` were to be banned, now or earlier, and are not; all else was done."""

    def __init__(self, entries: Iterable[str], *, where: str, advice: str) -> None:
        self.entries = frozenset(entries)
        self.where = where
        self.advice = advice
        shown = ", ".join(sorted(self.entries)[:3]) + (", ..." if len(self.entries) > 3 else "")
        count = f"{len(self.entries):,} of its bans"
        super().__init__(f"{where}: the firewall lacks {count} ({shown}); {advice}")

    def __or__(self, other: "NotInForce") -> "NotInForce":
        """Return one error for the entries of both."""
        return NotInForce(self.entries | other.entries, where=self.where, advice=self.advice)


class BanBusy(BanError):
    """Another process bans at this moment."""

    page = ""
