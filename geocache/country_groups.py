"""Which continent a country is counted to, and which countries are in the European Union.

A country on two continents has one, as in GeoNames and in the databases of MaxMind: Russia and
Cyprus are EU, Turkey, Georgia and Kazakhstan AS, Egypt AF.
"""

from collections.abc import Mapping
from typing import Any, Final

# The countries of ISO 3166-1, and XK, which is in use for Kosovo.
COUNTRIES: Final = {
    "AF": (
        "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG "
        "ML MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW"
    ),
    "AN": "AQ BV GS HM TF",
    "AS": (
        "AE AF AM AZ BD BH BN BT CC CN CX GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK "
        "MM MN MO MV MY NP OM PH PK PS QA SA SG SY TH TJ TM TR TW UZ VN YE"
    ),
    "EU": (
        "AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI "
        "LT LU LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK"
    ),
    "NA": (
        "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI "
        "PA PM PR SV SX TC TT US VC VG VI"
    ),
    "OC": "AS AU CK FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TL TO TV UM VU WF WS",
    "SA": "AR BO BR CL CO EC FK GF GY PE PY SR UY VE",
}
CONTINENTS: Final = {
    country: continent for continent, codes in COUNTRIES.items() for country in codes.split()
}
# The members, with what belongs to the Union of the countries that ISO 3166-1 lists by themselves:
# AX of Finland, and the outermost regions GF GP MF MQ RE YT of France. Source: Treaty on European
# Union, Article 52, and Treaty on the Functioning of the European Union, Article 355.
MEMBERS: Final = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
PARTS_OF_MEMBERS: Final = "AX GF GP MF MQ RE YT"
EUROPEAN_UNION: Final = frozenset(MEMBERS.split() + PARTS_OF_MEMBERS.split())


def completed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an answer with what follows from its country, where that is not said."""
    found = dict(fields)
    country = found.get("country_code", "")
    is_said = found.get("continent_code")
    if not is_said and (continent := CONTINENTS.get(country)):
        found["continent_code"] = continent
    # Rows have each field: those of earlier releases know neither.
    if country in EUROPEAN_UNION and not (is_said and "is_in_european_union" in found):
        found["is_in_european_union"] = True
    return found


def continent_of(country_code: str) -> str:
    """Return the code of a country's continent, the empty text for a code that is not one."""
    return CONTINENTS.get(country_code.upper(), "")
