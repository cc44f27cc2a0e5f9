"""Give objects the answers for their addresses, of the time of each object. Never raises."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from django.utils import timezone

from geocache.addresses import normalise
from geocache.exceptions import InvalidAddress
from geocache.history.spans import former_answers
from geocache.location import UNAVAILABLE, Location
from geocache.log import get_logger
from geocache.log_throttle import LogThrottle
from geocache.lookup import lookup_many
from geocache.models.connection import DATABASE_ERRORS, savepoint_for_reading

# Of an object that is younger, today's answer is that of its time.
PRESENT: Final = timedelta(minutes=1)
COUNTRY_LETTERS: Final = 2

log = get_logger(__name__)
failed: Final = LogThrottle(seconds=60)
history_down: Final = LogThrottle(seconds=60)

One = TypeVar("One")
# An address, and the moment of which its answer is wanted: None for now.
Asked = tuple[str, datetime | None]


def locate_objects(objects: Iterable[One]) -> list[One]:
    """Give objects of a ``LocatedModel`` country and location, and return them; nothing is saved.

    With one look-up for all: call it before ``bulk_create``. An object that has the answer for its
    address keeps it. While the provider fails, an object stays without, for ``locate_geo``.
    """
    listed = list(objects)
    try:
        _locate(listed)
    except Exception as error:  # noqa: BLE001 - a host's object is saved whatever fails here
        if failed.is_due():
            log.error("geo_object_not_located", error=f"{type(error).__name__}: {error}")
    return listed


def answers_for(asked: Iterable[Asked]) -> tuple[dict[Asked, Location], set[Asked]]:
    """Return answers for normalised addresses, and which of them are of the past.

    What the provider fails on is left out.
    """
    wanted = set(asked)
    past = _former({(address, at) for address, at in wanted if at is not None})
    present = lookup_many({address for address, at in wanted if (address, at) not in past})
    answers: dict[Asked, Location] = dict(past.items())
    for address, at in wanted - set(past):
        if present[address].reason != UNAVAILABLE:
            answers[address, at] = present[address]
    return answers, set(past)


def address_in(value: Any) -> str:
    """Return the normalised address that a field holds, or the empty text."""
    try:
        return normalise(value) if value else ""
    except InvalidAddress:
        return ""


def past_moment(value: Any) -> datetime | None:
    """Return the time of an object, or None when it is the present."""
    if not isinstance(value, datetime):
        return None
    # In the project's zone, as Django reads it: the active one may be a visitor's.
    local = timezone.get_default_timezone()
    at = timezone.make_aware(value, local) if timezone.is_naive(value) else value
    return at if at < datetime.now(UTC) - PRESENT else None


def country_of(location: Location) -> str:
    """Return the country's code, empty if it is none that the column holds."""
    code = location.country_code
    return code if len(code) == COUNTRY_LETTERS else ""


def _locate(objects: list[Any]) -> None:
    missing: dict[int, Asked] = {}
    for number, one in enumerate(objects):
        address = address_in(getattr(one, one.geo_address_field))
        held = one.location
        if held is not None and not isinstance(held, Location):
            # An expression, or plain JSON: the project's own, which is saved as it is.
            continue
        if held is not None and held.address == address:
            one.country_code = one.country_code or country_of(held)
            continue
        if held is not None:
            # The answer of another address, or of one that was removed.
            one.location, one.country_code = None, ""
        if address:
            at = getattr(one, one.geo_time_field) if one.geo_time_field else None
            missing[number] = (address, past_moment(at))
    if not missing:
        return
    answers, _ = answers_for(missing.values())
    for number, asked in missing.items():
        if asked in answers:
            objects[number].location = answers[asked]
            objects[number].country_code = country_of(answers[asked])


def _former(asked: set[tuple[str, datetime]]) -> dict[tuple[str, datetime], Location]:
    """Return what held at those moments and was replaced; nothing while the tables are away."""
    if not asked:
        return {}
    try:
        with savepoint_for_reading():
            return former_answers(asked)
    except DATABASE_ERRORS as error:
        if history_down.is_due():
            log.error("geo_history_unavailable", error=str(error))
        return {}
