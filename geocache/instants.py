"""A moment in time, which has a zone here even where the project's own have none.

With ``USE_TZ = False`` Django stores and returns local time without a zone. Order and age of
answers would then be wrong for an hour each autumn, so these columns stay in UTC: PostgreSQL keeps
the zone, and the others get UTC, which is what they would get with ``USE_TZ = True``.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from datetime import timezone as FixedOffset  # noqa: N812 - beside Django's timezone
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from geocache import conf


def utc_now() -> datetime:
    """Return the present moment in UTC; Django's own has no zone where ``USE_TZ`` is False."""
    return datetime.now(UTC)


def utc_text(moment: datetime) -> str:
    """Return ``moment``, which has a time zone, to the second as commands show it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def stored(moment: datetime, connection: BaseDatabaseWrapper) -> datetime:
    """Return ``moment`` in the form that Django's database backend takes.

    A moment without a zone is in the project's ``TIME_ZONE``.
    """
    if conf.uses_time_zones():
        return moment
    if timezone.is_naive(moment):
        moment = timezone.make_aware(moment, timezone.get_default_timezone())
    if connection.vendor == "postgresql":
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)


def calendar_zone(connection: BaseDatabaseWrapper) -> tzinfo | None:
    """Return the zone in which the database counts days; None is the present one of Django."""
    is_utc = not conf.uses_time_zones() and connection.vendor != "postgresql"
    return UTC if is_utc else None


def _read(moment: Any, _expression: Any, connection: BaseDatabaseWrapper) -> Any:
    if not isinstance(moment, datetime) or timezone.is_aware(moment):
        return moment
    # PostgreSQL converts to the zone of the connection, which is the project's.
    local = timezone.get_default_timezone()
    zone = local if connection.vendor == "postgresql" else UTC
    # In local time, as pages show moments without converting them. With a fixed offset, as Python
    # calls no two moments of different zones equal in an hour that occurs twice (PEP 495).
    moment = moment.replace(tzinfo=zone).astimezone(local)
    return moment.replace(tzinfo=FixedOffset(moment.utcoffset() or timedelta()), fold=0)


if TYPE_CHECKING:
    # To a type checker it is Django's, whose plug-in for mypy knows what a null column holds.
    InstantField = models.DateTimeField
else:

    class InstantField(models.DateTimeField):
        """A ``DateTimeField`` whose values always have a time zone."""

        def deconstruct(self) -> Any:
            """Return it as Django's own field, which has the same column."""
            name, _path, args, kwargs = super().deconstruct()
            return name, "django.db.models.DateTimeField", args, kwargs

        def get_db_prep_value(
            self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
        ) -> Any:
            """Return what is stored, or compared with what is stored."""
            if not prepared:
                value = self.get_prep_value(value)
            if isinstance(value, datetime):
                value = stored(value, connection)
            return super().get_db_prep_value(value, connection, prepared=True)

        def get_db_converters(self, _connection: BaseDatabaseWrapper) -> list[Callable[..., Any]]:
            """Return what gives a moment its zone where Django does not."""
            return [] if conf.uses_time_zones() else [_read]
