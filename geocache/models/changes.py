"""What kinds of change there are between two answers for one address; see ``kinds_of_change``."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from geocache.location import SOURCE_SEPARATOR, great_circle_km
from geocache.models.columns import traits_of

COUNTRY: Final = "country"
REGION: Final = "region"
CITY: Final = "city"
OPERATOR: Final = "operator"
TRAITS: Final = "traits"
# In the order in which they are shown.
KINDS: Final = (COUNTRY, REGION, CITY, OPERATOR, TRAITS)

# What a change is a change of.
DECISIVE: Final = (
    "country_code",
    "region_code",
    "region",
    "city",
    "asn",
    "organization",
    "traits",
)
# With what is needed to judge it. The decisive ones come first: where these are equal, the others
# need no look.
COMPARED: Final = (*DECISIVE, "latitude", "longitude", "source")
_DECISIVE_COUNT: Final = len(DECISIVE)

# Two places of one region that are nearer are parts of one city, or neighbours. No database is as
# exact: MaxMind counts an answer as right that is within 50 km.
NEAR_KM: Final = 10.0
# Farther from each other than two districts, or two centres, of one city.
FAR_KM: Final = 50.0

BRACKETS: Final = re.compile(r"\s*[(\[][^()\[\]]*[)\]]?")
# Begins a digest, which stands for a name that does not fit; see ``joined_sources``.
DIGEST_MARK: Final = "#"
DAY: Final = re.compile(r" \d{4}-\d{2}-\d{2}\Z")
# Marks of Latin, Greek and Cyrillic letters; those of other scripts make another letter.
ACCENTS: Final = re.compile("[\u0300-\u036f]")
# Letters, marks and numbers, as Unicode calls them.
WORD_CATEGORIES: Final = "LMN"
# Letters that are not a letter with a mark, and so have no plain one in Unicode.
PLAIN_LETTERS: Final = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "\u0131": "i",
        "ħ": "h",
    }
)
ABBREVIATIONS: Final = {"st": "saint", "ste": "sainte", "mt": "mount", "ft": "fort"}


def never_used(_name: str) -> bool:
    """Say of a database that it was not in use when the earlier answer was given."""
    return False


def perhaps_used(_name: str) -> bool:
    """Say of a database that it may have been in use already."""
    return True


def kinds_of_change(
    old: Sequence[Any], new: Sequence[Any], was_used: Callable[[str], bool] = never_used
) -> tuple[str, ...]:
    """Return what is different between two answers, by their values of ``COMPARED``; often nothing.

    Databases learn more and change how names are spelt all the time; moves are worth knowing:

    1. *Country*: the codes differ. To lose a country, or to gain one, is a change.
    2. For all others, what was not known before is not a change: a database that knows more has not
       moved an address. What was known and is not any more, is one.
    3. *Region*: both code and name differ, as far as both answers have them. So a name in another
       language, or a code of another system, is not a change.
    4. *City*: see ``_is_another_city``.
    5. *Operator*: the AS numbers differ; where one answer has none, the names do. Another
       spelling of the organization of one AS number is not a change.
    6. *Traits*: the sets of labels differ, and the newer answer names no database (of whatever day)
       that the older one does not name, unless ``was_used`` says that it was in use already. So an
       address that becomes a VPN exit counts, and the first answers of a new product do not.

    Names are compared without case, accents and punctuation.
    """
    if tuple(old[:_DECISIVE_COUNT]) == tuple(new[:_DECISIVE_COUNT]):
        return ()
    old_country, old_region_code, old_region, old_city, old_asn, old_name, old_traits = old[:7]
    new_country, new_region_code, new_region, new_city, new_asn, new_name, new_traits = new[:7]
    kinds = []
    if old_country != new_country:
        kinds.append(COUNTRY)
    if _is_another_region(old_region_code, old_region, new_region_code, new_region):
        kinds.append(REGION)
    is_same_city = old_city == new_city and not kinds
    if old_city and not is_same_city and _is_another_city(old, new, is_one_region=not kinds):
        kinds.append(CITY)
    if _is_another_operator(old_asn, old_name, new_asn, new_name):
        kinds.append(OPERATOR)
    if old_traits != new_traits and _have_traits_changed(old, new, was_used):
        kinds.append(TRAITS)
    return tuple(kinds)


def has_moved(old: Sequence[Any], new: Sequence[Any]) -> bool:
    """Tell whether there is any change between two answers, by their values of ``COMPARED``."""
    return bool(kinds_of_change(old, new))


def _is_another_region(old_code: str, old_name: str, new_code: str, new_name: str) -> bool:
    known = []
    if old_code and new_code:
        known.append(old_code.casefold() != new_code.casefold())
    if old_name and new_name:
        known.append(_plain(old_name) != _plain(new_name))
    if known:
        return all(known)
    # One that is known by its code, and then by its name, cannot be compared.
    return bool(old_code or old_name) and not (new_code or new_name)


def _is_another_operator(
    old_asn: int | None, old_name: str, new_asn: int | None, new_name: str
) -> bool:
    if old_asn is not None and new_asn is not None:
        return old_asn != new_asn
    if old_name and new_name:
        return _plain(old_name) != _plain(new_name)
    is_known = old_asn is not None or bool(old_name)
    return is_known and new_asn is None and not new_name


def _is_another_city(old: Sequence[Any], new: Sequence[Any], *, is_one_region: bool) -> bool:
    """Tell whether two cities, of which the first is known, are different ones.

    - In one region they are the same if they have the same name, also without what stands in
      brackets ("Berlin (Mitte)"), or are less than ``NEAR_KM`` apart, whatever their names: a
      district, a suburb, or a name in another language. They also are if one name begins with all
      words of the other ("Berlin Mitte"), unless they are more than ``FAR_KM`` apart.
    - In another region or country they are the same if they have the same name and are not more
      than ``FAR_KM`` apart: a border was drawn again, not a city moved.
    """
    old_city, new_city = old[3], new[3]
    if not new_city:
        return True
    old_words, new_words = _plain(old_city), _plain(new_city)
    distance = _distance_km(old, new)
    is_far = distance is not None and distance > FAR_KM
    if not is_one_region:
        return old_words != new_words or is_far
    if old_words == new_words or (distance is not None and distance < NEAR_KM):
        return False
    old_words, new_words = _without_brackets(old_city), _without_brackets(new_city)
    if old_words == new_words:
        return False
    count = min(len(old_words), len(new_words))
    return is_far or old_words[:count] != new_words[:count]


def _have_traits_changed(
    old: Sequence[Any], new: Sequence[Any], was_used: Callable[[str], bool]
) -> bool:
    if _labels(old[6]) == _labels(new[6]):
        return False
    return all(map(was_used, source_names(new[-1]) - source_names(old[-1])))


def _distance_km(old: Sequence[Any], new: Sequence[Any]) -> float | None:
    """Return how far two answers are from each other, None if one has no coordinates."""
    points = *old[7:9], *new[7:9]
    if None in points:
        return None
    return great_circle_km((points[0], points[1]), (points[2], points[3]))


def _labels(traits: Any) -> frozenset[str]:
    """Return the traits of an answer, or those that a column has as one text."""
    return frozenset(traits_of(traits) if isinstance(traits, str) else traits)


# Of few sources, and of few cities that change.
@lru_cache(maxsize=1_000)
def source_names(source: str) -> frozenset[str]:
    """Return the names of the databases in ``source``, without the days of their builds.

    A digest, which stands for a long name and its day, is left out.
    """
    names = source.split(SOURCE_SEPARATOR)
    return frozenset(DAY.sub("", one) for one in names if not one.startswith(DIGEST_MARK))


@lru_cache(maxsize=10_000)
def _plain(name: str) -> tuple[str, ...]:
    """Return the words of a name without case, accents and punctuation."""
    letters = ACCENTS.sub("", unicodedata.normalize("NFKD", name.casefold()))
    bare = "".join(
        one if unicodedata.category(one)[0] in WORD_CATEGORIES else " "
        for one in letters.translate(PLAIN_LETTERS)
    )
    return tuple(ABBREVIATIONS.get(word, word) for word in bare.split()) or (name,)


def _without_brackets(name: str) -> tuple[str, ...]:
    return _plain(BRACKETS.sub("", name) or name)
