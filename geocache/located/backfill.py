"""Locate the objects of a table that have an address and no answer yet, a batch at a time."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.db import transaction

from geocache.exceptions import MeteredProvider, ProviderError
from geocache.located.locate import Asked, address_in, answers_for, country_of, past_moment
from geocache.located.model import LocatedModel
from geocache.location import Location
from geocache.providers import factory

BATCH_ROWS: Final = 500
# Primary keys of one statement: SQLite takes no more than 999 values, if it is old.
CHUNK_KEYS: Final = 500


@dataclass(slots=True)
class BackfillReport:
    """What one run did; ``is_complete`` when it came to the end of the table."""

    located: int = 0
    # Of the located: those whose address had another answer at their time.
    from_history: int = 0
    # The provider failed on them: another run tries them again.
    unavailable: int = 0
    # What their field holds is not an IP address.
    not_an_address: int = 0
    seconds: float = 0.0
    is_complete: bool = False


class Row(NamedTuple):
    """What is read of an object."""

    pk: Any
    # As the column has it.
    held: Any
    at: Any = None


def located_models() -> dict[str, type[LocatedModel]]:
    """Return the models of the project that keep locations, by label."""
    return {
        model._meta.label: model
        for model in sorted(apps.get_models(), key=lambda one: one._meta.label)
        if issubclass(model, LocatedModel)
    }


def unlocated(model: type[LocatedModel], using: str, *, is_all: bool = False) -> Any:
    """Return the rows that have an address and no answer, or all that have an address."""
    name = model.geo_address_field
    rows = model._base_manager.using(using).exclude(**{f"{name}__isnull": True})
    if model._meta.get_field(name).empty_strings_allowed:
        rows = rows.exclude(**{name: ""})
    return rows if is_all else rows.filter(location__isnull=True)


def back_fill(  # noqa: PLR0913 - what a command may say
    model: type[LocatedModel],
    *,
    using: str,
    batch_rows: int = BATCH_ROWS,
    is_all: bool = False,
    is_metered: bool = False,
    time_limit_seconds: float = float("inf"),
    watch: Callable[[int], object] = lambda _: None,
) -> BackfillReport:
    """Locate the rows in the order of their primary keys, each batch in a transaction of its own.

    An answer is that of the row's time where our tables know it, else today's. ``is_all`` also
    replaces answers that rows have. Raises ``MeteredProvider`` unless ``is_metered`` says that
    answers may cost something, and ``ProviderError`` when the provider answers nothing of a batch.
    """
    provider = factory.current()
    if provider.is_metered and not is_metered:
        raise MeteredProvider("each answer of the provider may cost something")
    provider.build()
    report = BackfillReport()
    started = time.monotonic()
    columns = [model.geo_address_field, *filter(None, [model.geo_time_field])]
    rows = unlocated(model, using, is_all=is_all).order_by("pk").values_list("pk", *columns)
    page = [Row(*values) for values in rows[:batch_rows]]
    try:
        while page and time.monotonic() - started <= time_limit_seconds:
            _fill(model, using, page, report, is_all=is_all)
            watch(len(page))
            page = [Row(*values) for values in rows.filter(pk__gt=page[-1].pk)[:batch_rows]]
        report.is_complete = not page
    finally:
        report.seconds = round(time.monotonic() - started, 3)
    return report


def _fill(
    model: type[LocatedModel],
    using: str,
    page: list[Row],
    report: BackfillReport,
    *,
    is_all: bool,
) -> None:
    asked = {row: (address_in(row.held), past_moment(row.at)) for row in page}
    wanted = {one for one in asked.values() if one[0]}
    # Before the transaction: a provider may be slow.
    answers, past = answers_for(wanted)
    if wanted and not answers:
        raise ProviderError("the provider has answered nothing; run it again later")
    same: dict[tuple[Any, Asked], list[Any]] = defaultdict(list)
    for row, one in asked.items():
        if not one[0]:
            report.not_an_address += 1
        elif one not in answers:
            report.unavailable += 1
        else:
            same[row.held, one].append(row.pk)
    with transaction.atomic(using=using):
        for (held, one), keys in same.items():
            count = _write(unlocated(model, using, is_all=is_all), held, keys, answers[one])
            report.located += count
            report.from_history += count if one in past else 0


def _write(rows: Any, held: Any, keys: list[Any], answer: Location) -> int:
    """Write an answer to those ``rows`` that still have the address; return how many."""
    name = rows.model.geo_address_field
    values = {"country_code": country_of(answer), "location": answer}
    return sum(
        rows.filter(pk__in=keys[start : start + CHUNK_KEYS], **{name: held}).update(**values)
        for start in range(0, len(keys), CHUNK_KEYS)
    )
