"""The filters of the list of addresses, from the query of its link."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db.models import Exists, OuterRef
from django.http import QueryDict
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from geocache import continents, countries
from geocache.addresses import parse_network
from geocache.exceptions import InvalidAddress
from geocache.labels import label_names, rows_with
from geocache.models import (
    AnswerHistory,
    AnswerHistoryQuerySet,
    GeoCache,
    GeoCacheQuerySet,
    ImportSource,
    ListedAddress,
)
from geocache.models.history import KIND_LABELS
from geocache.providers.credits import Credits
from geocache.statistics.table import Kinds, Snapshot
from geocache.text import strip_unprintable
from geocache.trait_names import connection_type_name, trait_name, user_type_name
from geocache.traits import MAX_LENGTH
from geocache.web.pagination import ORDERS
from geocache.web.widgets import LongSelect

ORDER_LABELS: Final = {
    # Newest first, but a network by address: see ``AddressFilter.order``.
    "": _("automatic"),
    "newest": _("newest first"),
    "oldest": _("oldest first"),
    "address": _("by address"),
}
# The largest number of an autonomous system. Source: RFC 6793.
MAX_ASN: Final = 2**32 - 1
# Entries of a list beyond which SQLite is told to ask for each row whether it is listed.
LONG_LIST: Final = 20_000
# What says in which order, and where a page begins.
UNFILTERING: Final = ("sort", "before", "after")
DAY: Final = "%Y-%m-%d"
BAD_DAY: Final = _("Give a day as 2026-01-31.")
# Days that exist in every time zone, and in which somebody may have looked up an address.
DAYS: Final = (
    MinValueValidator(date(1970, 1, 2), BAD_DAY),
    MaxValueValidator(date(2999, 12, 31), BAD_DAY),
)
BAD_COUNTRY: Final = _("The country is a code of two letters, such as DE.")
BAD_KIND: Final = _("What changed is one of: country, region, city, operator, traits.")
BAD_ASN: Final = _("The operator is an AS number, such as AS64500.")
BAD_REGION: Final = _("The region is a code of ISO 3166-2, such as GB-ENG.")
BAD_TRAIT: Final = _("The kind of network is a word, such as anonymous_vpn.")
BAD_TYPE: Final = _("“%(text)s” is not a type that an answer can name.")
# Filters that few people need: behind a fold, unless one is in use.
FOLDED: Final = (
    "continent",
    "region",
    "user_type",
    "connection_type",
    "source",
    "listed",
    "since",
    "until",
    "unresolved",
)


class QueryForm(forms.Form):
    """What a page reads from its address."""

    def problems(self) -> list[str]:
        """Return what cannot be used, one line each."""
        return [str(line) for lines in self.errors.values() for line in lines]


def order_field(labels: Mapping[str, Any]) -> forms.ChoiceField:
    """Return the choice of an order, by the texts that stand for it in the address of a page."""
    return forms.ChoiceField(
        label=_("Order"),
        required=False,
        choices=labels,
        error_messages={"invalid_choice": _("“%(value)s” is no order of this list.")},
    )


def day_field(label: Any) -> forms.DateField:
    """Return a field for one day."""
    return forms.DateField(
        label=label,
        required=False,
        input_formats=[DAY],
        error_messages={"invalid": BAD_DAY},
        validators=DAYS,
        widget=forms.DateInput(format=DAY, attrs={"type": "date"}),
    )


class DayForm(forms.Form):
    """The day on which somebody asks where an address was."""

    on = day_field(_("On the day"))


class AddressFilter(QueryForm):
    """What is listed. A value that cannot be used is an error, and so is one that nobody knows."""

    country = forms.CharField(
        label=_("Country"),
        required=False,
        validators=[RegexValidator(r"\A[A-Za-z]{2}\Z", BAD_COUNTRY)],
        widget=LongSelect,
    )
    asn = forms.CharField(
        label=_("Operator"),
        required=False,
        validators=[RegexValidator(r"\A(?i:AS)?[0-9]{1,10}\Z", BAD_ASN)],
        widget=forms.TextInput(attrs={"placeholder": "AS64500", "size": 12}),
    )
    network = forms.CharField(
        label=_("Network"),
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "203.0.113.0/24", "size": 20}),
    )
    trait = forms.CharField(
        label=_("Kind of network"),
        required=False,
        validators=[RegexValidator(rf"\A[^\s,]{{1,{MAX_LENGTH}}}\Z", BAD_TRAIT)],
        widget=LongSelect,
    )
    continent = forms.ChoiceField(
        label=_("Continent"),
        required=False,
        choices=[("", _("all")), *continents.NAMES.items()],
        error_messages={"invalid_choice": _("“%(value)s” is not the code of a continent.")},
    )
    region = forms.CharField(
        label=_("Region"),
        required=False,
        validators=[RegexValidator(r"\A[A-Za-z]{2}-[A-Za-z0-9]{1,7}\Z", BAD_REGION)],
        widget=forms.TextInput(attrs={"placeholder": "GB-ENG", "size": 8}),
    )
    user_type = forms.CharField(label=_("Users"), required=False, widget=LongSelect)
    connection_type = forms.CharField(label=_("Connection"), required=False, widget=LongSelect)
    source = forms.CharField(label=_("Source"), required=False, widget=LongSelect)
    listed = forms.CharField(label=_("List"), required=False, widget=LongSelect)
    since = day_field(_("From"))
    until = day_field(_("To"))
    sort = order_field(ORDER_LABELS)
    unresolved = forms.ChoiceField(
        label=_("Answer"),
        required=False,
        choices=[("", _("all")), ("1", _("nothing known"))],
        error_messages={"invalid_choice": _("“%(value)s” is not 1, for addresses without answer.")},
    )
    # Where a page begins: part of the link, but no filter.
    before = forms.CharField(required=False)
    after = forms.CharField(required=False)

    def __init__(self, query: QueryDict) -> None:
        self.query = QueryDict(mutable=True)
        for name, values in query.lists():
            self.query.setlist(
                strip_unprintable(name), [strip_unprintable(value) for value in values]
            )
        super().__init__(self.query, label_suffix="")

    def clean_country(self) -> str:
        """Return the code in capital letters."""
        return str(self.cleaned_data["country"]).upper()

    def clean_region(self) -> str:
        """Return the code in capital letters."""
        return str(self.cleaned_data["region"]).upper()

    def clean_user_type(self) -> str:
        """Return the text of a database."""
        return _short(self.cleaned_data["user_type"])

    def clean_connection_type(self) -> str:
        """Return the text of a database."""
        return _short(self.cleaned_data["connection_type"])

    def clean_asn(self) -> int | None:
        """Return the number, with or without ``AS`` before it."""
        digits = self.cleaned_data["asn"].upper().removeprefix("AS")
        number = int(digits) if digits else None
        if number is not None and number > MAX_ASN:
            raise ValidationError(BAD_ASN)
        return number

    def clean_network(self) -> Any:
        """Return the network; one address is one, too."""
        text = self.cleaned_data["network"]
        try:
            return parse_network(text) if text else None
        except InvalidAddress as error:
            said = _("“%(text)s” is not a network, such as 203.0.113.0/24 or 2001:db8::/32.")
            raise ValidationError(said % {"text": Truncator(text).chars(40)}) from error

    def clean(self) -> None:
        """Refuse what would be passed over in silence, and days in the wrong order."""
        for name, values in self.query.lists():
            if name not in self.fields:
                raise ValidationError(
                    _("There is no filter “%(name)s”.") % {"name": Truncator(name).chars(40)}
                )
            if len(values) > 1:
                raise ValidationError(_("The filter “%(name)s” is given twice.") % {"name": name})
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and until < since:
            raise ValidationError(_("The last day is before the first."))

    def order(self) -> tuple[str, ...]:
        """Return the fields that the rows are sorted by. Only of a valid form."""
        # The rows of a network are together in the index by address. By date all would be sorted.
        # Those of a list are found by address, too.
        asked = self.cleaned_data
        usual = "address" if asked["network"] or asked["listed"] else "newest"
        order = ORDERS[self.cleaned_data["sort"] or usual]
        if self.cleaned_data["source"] and "sort_key" not in order:
            # The index of the source. PostgreSQL would rather pass over the rows of all older
            # sources, by hundreds of thousands, to find the first of one that most rows have.
            return (order[0].replace("resolved_at", "source"), *order)
        return order

    def rows(self) -> GeoCacheQuerySet:
        """Return the rows that are asked for. Only of a valid form."""
        asked = self.cleaned_data
        rows = GeoCache.objects.resolved_between(asked["since"], asked["until"])
        if asked["country"]:
            rows = rows.filter(country_code=asked["country"])
        if asked["asn"] is not None:
            rows = rows.filter(asn=asked["asn"])
        for name, narrow in NARROWED.items():
            if asked[name]:
                rows = narrow(rows, asked[name])
        if asked["network"]:
            rows = rows.in_network(asked["network"])
        if asked["source"]:
            # No equality, or PostgreSQL would leave the source out of the order.
            rows = rows.filter(source__range=(asked["source"], asked["source"]))
        if asked["listed"]:
            rows = _on_list(rows, asked["listed"])
        return rows.unresolved() if asked["unresolved"] else rows

    def shown_fields(self) -> list[forms.BoundField]:
        """Return the fields that most people need."""
        return [field for field in self if field.name not in (*FOLDED, "before", "after")]

    def folded_fields(self) -> list[forms.BoundField]:
        """Return the other fields that people fill in."""
        return [self[name] for name in FOLDED]

    def is_unfolded(self) -> bool:
        """Tell whether one of the other fields is in use."""
        return any(self.query.get(name) for name in FOLDED)

    def is_filtered(self) -> bool:
        """Tell whether less than everything is listed."""
        return any(self.query.get(name) for name in self.fields if name not in UNFILTERING)

    def offer_choices(self, counted: Snapshot | None, *, with_lists: bool) -> None:
        """Ask the table what countries, sources and lists there are; kinds are as ``counted``."""
        named = [(code, countries.name(code) or code) for code in GeoCache.countries()]
        self._offer("country", sorted(named, key=lambda pair: countries.sort_key(pair[1])))
        thanks = Credits()
        self._offer("source", [(one, thanks.shown(one)) for one in GeoCache.sources()])
        names = ImportSource.objects.values_list("name", flat=True) if with_lists else ()
        self._offer("listed", [(name, name) for name in names])
        kinds = counted.kinds if counted else Kinds()
        labels = label_names() if with_lists else ()
        self._offer_named("trait", [*kinds.traits, *labels], trait_name)
        self._offer_named("user_type", kinds.user_types, user_type_name)
        self._offer_named("connection_type", kinds.connection_types, connection_type_name)

    def _offer_named(self, name: str, values: Iterable[str], shown: Callable[[str], str]) -> None:
        asked = self.query.get(name, "")
        self._offer(name, named_choices(dict.fromkeys([*values, *filter(None, [asked])]), shown))

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        # What is asked for stays chosen, also when no row has it.
        given = self.query.get(name, "")
        if given and given.upper() not in (value.upper() for value, _name in choices):
            choices = [(given, given), *choices]
        widget: Any = self.fields[name].widget
        widget.choices = [("", _("all")), *choices]


class MoveFilter(QueryForm):
    """Which moves are listed: of a kind, of some days, and out of or into a country."""

    kind = forms.ChoiceField(
        label=_("What changed"),
        required=False,
        choices=[("", _("all")), *KIND_LABELS.items()],
        error_messages={"invalid_choice": BAD_KIND},
    )
    country = forms.RegexField(
        r"\A[A-Za-z]{2}\Z",
        label=_("Country before"),
        required=False,
        error_messages={"invalid": BAD_COUNTRY},
        widget=forms.TextInput(attrs={"placeholder": "DE", "size": 4}),
    )
    new_country = forms.RegexField(
        r"\A[A-Za-z]{2}\Z",
        label=_("Country afterwards"),
        required=False,
        error_messages={"invalid": BAD_COUNTRY},
        widget=forms.TextInput(attrs={"placeholder": "FR", "size": 4}),
    )
    since = day_field(_("From"))
    until = day_field(_("To"))
    before = forms.CharField(required=False, widget=forms.HiddenInput)
    after = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, query: QueryDict) -> None:
        given = {name: strip_unprintable(str(query[name])) for name in query}
        super().__init__(given, label_suffix="")

    def is_filtered(self) -> bool:
        """Tell whether less than everything is listed."""
        return any(self.data.get(field.name) for field in self.visible_fields())

    def rows(self) -> AnswerHistoryQuerySet:
        """Return the moves that are asked for. Only of a valid form."""
        asked = self.cleaned_data
        codes = {
            "country_code": asked["country"].upper(),
            "new_country_code": asked["new_country"].upper(),
        }
        rows = AnswerHistory.objects.filter(**{name: code for name, code in codes.items() if code})
        if asked["kind"]:
            rows = rows.of_kind(asked["kind"])
        return rows.changed_between(asked["since"], asked["until"])


def of_kind(rows: GeoCacheQuerySet, trait: str) -> GeoCacheQuerySet:
    """Return the rows that have a trait, or whose address is on a list with that label."""
    found = rows.with_trait(trait)
    return found | rows_with(rows, trait) if trait in label_names() else found


# By what a text of the filter narrows rows.
NARROWED: Final[dict[str, Callable[[GeoCacheQuerySet, str], GeoCacheQuerySet]]] = {
    "trait": of_kind,
    "continent": GeoCacheQuerySet.in_continent,
    "region": GeoCacheQuerySet.in_region,
    "user_type": GeoCacheQuerySet.with_user_type,
    "connection_type": GeoCacheQuerySet.with_connection_type,
}


def named_choices(values: Iterable[str], name: Callable[[str], str]) -> list[tuple[str, str]]:
    """Return choices by their names; where several share one, each says which it is."""
    named = [(value, name(value)) for value in values]
    often = Counter(shown for _value, shown in named)
    shown = [(value, f"{text} ({value})" if often[text] > 1 else text) for value, text in named]
    return sorted(shown, key=lambda pair: countries.sort_key(pair[1]))


def _short(text: str) -> str:
    """Return what a column can hold; raise for a longer text."""
    if len(text) > MAX_LENGTH:
        raise ValidationError(BAD_TYPE % {"text": Truncator(text).chars(40)})
    return text


def _on_list(rows: GeoCacheQuerySet, name: str) -> GeoCacheQuerySet:
    """Return the rows of addresses that stand on a list; its networks are not expanded."""
    source = ImportSource.objects.select_related("current_run").filter(name=name).first()
    if source is None:
        return rows.none()
    entries = ListedAddress.objects.listed().filter(source=source, is_network=False)
    run = source.current_run
    if run is None or run.entry_count > LONG_LIST:
        # A walk along the rows meets one of so many before long; to collect them takes longer.
        return rows.filter(Exists(entries.filter(sort_key=OuterRef("sort_key"))))
    return rows.filter(address__in=entries.addresses())
