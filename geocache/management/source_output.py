"""What answers come from, in words."""

from geocache.providers.base import Source
from geocache.status import is_old


def describe_source(source: Source) -> str:
    """Return name, build and age, what an old one means, and whom to thank; a line each."""
    days = source.age_days()
    lines = [str(source) if days is None else f"{source}, {days:,} days old"]
    if is_old(source):
        lines.append(
            "This is OLD: many addresses have moved since. Run manage.py update_geo, "
            "or name a newer file in GEOCACHE_DATABASES."
        )
    if source.attribution:
        lines.append(source.attribution)
    return "\n".join(lines)
