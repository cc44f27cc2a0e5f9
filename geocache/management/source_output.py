"""What answers come from, in words."""

from django.utils import translation

from geocache.databases.advice import advice_for, licence_sentence
from geocache.instants import utc_now
from geocache.providers.base import Source
from geocache.status import is_old


def describe_source(source: Source) -> str:
    """Return name, build and age, what an old one means, and the credit; a line each."""
    days = source.age_days()
    lines = [str(source) if days is None else f"{source}, {days:,} days old"]
    if source.fields:
        lines.append(f"Fields: {', '.join(source.fields)}")
    # What is printed beside it is English, too.
    with translation.override("en"):
        lines += [said for said in (_age(source), licence_sentence(source, utc_now())) if said]
        if len(lines) > 1:
            lines.append(advice_for(source))
    if source.attribution:
        lines.append(source.attribution)
    return "\n".join(lines)


def _age(source: Source) -> str:
    return "This is OLD: many addresses have moved since." if is_old(source) else ""
