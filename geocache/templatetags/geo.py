"""Show answers on a page: ``{% load geo %}``.

The filters take what a page has at hand: a country's code, an answer, or an address. An address is
looked up, one at a time: for a page of rows use
``geocache.integrations.rows.attach_locations``, and filter its locations.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from django import template
from django.template.defaultfilters import floatformat
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from msgspec.structs import replace

from geocache import continents, countries, trait_names
from geocache.exceptions import InvalidAddress
from geocache.location import Location
from geocache.lookup import lookup
from geocache.models import AnswerHistory, GeoCache, Reason
from geocache.place_names import in_language
from geocache.providers.base import Source
from geocache.providers.credits import Credits, current_sources

if TYPE_CHECKING:
    from geocache.charts.bars import Bar
    from geocache.charts.maps import Place

register = template.Library()


@register.filter
def country_flag(value: Any) -> str:
    """Return the flag emoji of a code of two letters, an answer or an address, or no text."""
    return countries.flag(_country_code(value))


@register.filter
def country_name(value: Any) -> str:
    """Return the country's name in the reader's language, or no text if it is not known.

    ``value`` is an ISO 3166-1 code, an answer or an address.
    """
    return countries.name(_country_code(value))


@register.filter
def city_name(value: Any) -> str:
    """Return the city of an answer or an address in the reader's language, or no text."""
    return _place_name(value, "city")


@register.filter
def region_name(value: Any) -> str:
    """Return the region of an answer or an address in the reader's language, or no text."""
    return _place_name(value, "region")


@register.filter
def new_city_name(move: AnswerHistory) -> str:
    """Return in the reader's language the city that an address moved to."""
    return _place_name(_moved(move), "city")


@register.filter
def new_region_name(move: AnswerHistory) -> str:
    """Return in the reader's language the region that an address moved to."""
    return _place_name(_moved(move), "region")


@register.filter
def continent_name(code: str) -> str:
    """Return the name of a continent by its code, such as ``EU``, or no text."""
    return continents.name(code)


@register.simple_tag
def geo(address: Any) -> Location | None:
    """Return the answer for an address, None for what is none: ``{% geo ip as place %}``.

    City and region are in the reader's language.
    """
    found = _looked_up(address)
    return None if found is None else in_language(found, get_language())


@register.filter
def number(count: int) -> str:
    """Return a count with the separators of the reader's language."""
    return number_format(count, force_grouping=True)


@register.filter
def percent(share: float) -> str:
    """Return a share of a hundred, as the reader's language writes it."""
    # Translators: a share, such as 12.5%; many languages have a (non-breaking) space in it.
    return gettext("%(number)s%%") % {"number": floatformat(share, 1)}


@register.filter
def day(at: date) -> str:
    """Return a day, or that of an instant, in numbers, as the reader's language writes it."""
    local = timezone.localtime(at) if isinstance(at, datetime) else at
    # Translators: the form of a day: Y is the year, m the month, d the day, all in digits.
    return date_format(local, gettext("Y-m-d"))


@register.filter
def moment(at: datetime | None) -> str:
    """Return an instant in the project's time zone; a script rewrites it into the reader's."""
    if at is None:
        return ""
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}">{}</time>',
        local.isoformat(timespec="seconds"),
        # Translators: H is the hour of 24, i the minute, T the abbreviation of the time zone.
        date_format(local, gettext("Y-m-d H:i T")),
    )


@register.filter
def reason_label(reason: str) -> str:
    """Return for people why an answer is empty."""
    return Reason.label_of(reason)


# What kinds of network, users, connections and details are called in the reader's language.
for name_of in (
    trait_names.trait_name,
    trait_names.trait_explanation,
    trait_names.user_type_name,
    trait_names.connection_type_name,
    trait_names.detail_name,
    trait_names.detail_value,
):
    register.filter(name_of)


@register.filter
def has_trait(value: Any, trait: str) -> bool:
    """Tell whether an answer or an address has a trait: ``request.geo|has_trait:"anonymous"``."""
    return trait in _traits(value)


@register.simple_tag
def geo_badges(value: Any, url: str = "") -> SafeString:
    """Return a badge for each trait of an answer or an address, or nothing if it has none.

    The traits themselves may be given, too. With ``url``, that of the list of addresses, each links
    to all that share it.
    """
    return trait_names.badges(value if isinstance(value, list | tuple) else _traits(value), url)


def _traits(value: Any) -> Sequence[str]:
    """Return the traits of an answer or an address."""
    answer = value if hasattr(value, "traits") else geo(value)
    return () if answer is None else answer.traits


@register.simple_tag
def geo_sources() -> list[Source]:
    """Return what answers come from; nothing while the provider fails."""
    return current_sources()


@register.simple_tag
def geo_credits(shown: Any = (), without: Iterable[Source] = ()) -> list[str]:
    """Return the credits for what a page shows, each once.

    ``shown`` are answers, rows, or texts of their ``source``, or one row; what is in use is always
    thanked.
    ``without``: sources whose credit the page has elsewhere.
    """
    several = [shown] if hasattr(shown, "source") else shown or ()
    texts = [one if isinstance(one, str) else one.source for one in several]
    found = [one.attribution for one in current_sources()] + Credits().of(texts)
    said = {"", *(one.attribution for one in without or ())}
    return [credit for credit in dict.fromkeys(found) if credit not in said]


@register.filter
def source_label(source: str) -> str:
    """Return the ``source`` of an answer as people should read it."""
    return Credits().shown(source)


@register.filter
def source_advice(source: Source) -> str:
    """Return what to do about a database that is too old."""
    from geocache.databases.advice import advice_for  # noqa: PLC0415 - commands import this module

    return advice_for(source)


@register.simple_tag
def world_map(counts: Mapping[str, int], url: str = "") -> SafeString:
    """Return a map coloured by ``counts`` of addresses; a country links to ``url`` and its code."""
    from geocache.charts import maps  # noqa: PLC0415 - commands import this module, and draw nothing

    return maps.world_map(counts, url.__add__ if url else None)


@register.simple_tag
def places_map(places: "Iterable[Place]") -> SafeString:
    """Return a map with a dot for each of the places, or nothing if none has coordinates."""
    from geocache.charts import maps  # noqa: PLC0415 - as above

    return maps.places_map(places)


@register.simple_tag
def bar_chart(bars: "Sequence[Bar]", label: str) -> SafeString:
    """Return the bars side by side; ``label`` says what they are to those who cannot see them."""
    from geocache.charts import bars as charts_bars  # noqa: PLC0415 - as above

    return charts_bars.bar_chart(bars, label)


def _looked_up(address: Any) -> Location | None:
    try:
        return lookup(address)
    except InvalidAddress:
        return None


def _moved(move: AnswerHistory) -> Location:
    """Return where an address moved to, from a newer build of the same database, it is assumed."""
    return replace(
        move.to_location(),
        country_code=move.new_country_code,
        region=move.new_region,
        city=move.new_city,
    )


def _place_name(value: Any, field: str) -> str:
    answer = value.to_location() if isinstance(value, GeoCache | AnswerHistory) else value
    if isinstance(answer, Location):
        answer = in_language(answer, get_language())
    elif not hasattr(answer, field):
        answer = geo(answer)
    # Also what another app's row has there: None, or an object that is written as its name.
    return str((answer and getattr(answer, field)) or "")


def _country_code(value: Any) -> str:
    # No address that has a country is that short: a code costs no look-up.
    if isinstance(value, str) and len(value) <= 2:
        return value
    answer = value if hasattr(value, "country_code") else _looked_up(value)
    # Also what another app's row has there: None, or an object that is written as its code.
    return str((answer and answer.country_code) or "")
