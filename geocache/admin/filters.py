"""What the list of addresses can be narrowed by; each filter is a range of an index.

Their counts are those of the statistics, a few minutes old at most while answers come in.
"""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from geocache import continents, countries, trait_names
from geocache.models import GeoCache
from geocache.traits import MAX_LENGTH

if TYPE_CHECKING:
    from geocache.statistics.table import Snapshot

# Operators that are offered. Others are chosen by their link in a row of the list.
OFFERED_OPERATORS = 20


class CountryFilter(admin.SimpleListFilter):
    """The countries that are in the table, by name."""

    title = _("country")
    parameter_name = "country"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """Return code, and name with count, in the order of the names."""
        snapshot = counted(request)
        counts = snapshot.countries if snapshot else dict.fromkeys(GeoCache.countries())
        named = [(countries.name(code) or code, code) for code in counts]
        named.sort(key=lambda pair: countries.sort_key(pair[0]))
        return [(code, _label(name, counts[code])) for name, code in named]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Return the rows of the chosen country."""
        return queryset.filter(country_code=self.value()) if self.value() else queryset


class OperatorFilter(admin.SimpleListFilter):
    """The largest operators, and the one that is chosen."""

    title = _("operator")
    parameter_name = "asn"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """Return AS number, and name with count, the largest first."""
        snapshot = counted(request)
        operators = snapshot.operators[:OFFERED_OPERATORS] if snapshot else ()
        offered = {
            str(one.asn): _label(f"AS{one.asn} {one.organization}".strip(), one.address_count)
            for one in operators
        }
        chosen = self.value()
        if chosen and chosen not in offered:
            offered[chosen] = f"AS{chosen}"
        return list(offered.items())

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Return the rows of the chosen operator."""
        chosen = self.value()
        if not chosen:
            return queryset
        if not (chosen.isascii() and chosen.isdigit()):
            raise IncorrectLookupParameters
        return queryset.filter(asn=chosen)


class _KindFilter(admin.SimpleListFilter):
    """Values that the statistics have counted, and the one that is chosen."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """Return value, and name with count, the largest first."""
        snapshot = counted(request)
        counts = self.counts(snapshot) if snapshot else {}
        offered: dict[str, str] = {}
        for value, count in counts.items():
            offered[value] = _label(self.name(value), count)
        chosen = self.value()
        if chosen and chosen not in offered:
            offered[chosen] = self.name(chosen)
        return list(offered.items())

    def counts(self, snapshot: "Snapshot") -> dict[str, int]:
        """Return the counts of all values."""
        raise NotImplementedError

    def name(self, value: str) -> str:
        """Return the name of a value."""
        raise NotImplementedError


class TraitFilter(_KindFilter):
    """The traits that are in the table, and the labels of lists."""

    title = _("kind of network")
    parameter_name = "trait"

    def counts(self, snapshot: "Snapshot") -> dict[str, int]:
        """Return the counts of traits."""
        return snapshot.kinds.traits

    def name(self, value: str) -> str:
        """Return the name of a trait."""
        return trait_names.trait_name(value)

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Return the rows with the chosen trait."""
        from geocache.web.filters import of_kind  # noqa: PLC0415 - each process loads the admin

        chosen = self.value()
        if not chosen:
            return queryset
        if "," in chosen or len(chosen) > MAX_LENGTH:
            raise IncorrectLookupParameters
        return of_kind(queryset, chosen)


class ContinentFilter(_KindFilter):
    """The continents of the countries in the table."""

    title = _("continent")
    parameter_name = "continent"

    def counts(self, snapshot: "Snapshot") -> dict[str, int]:
        """Return the counts of continents."""
        return snapshot.continents

    def name(self, value: str) -> str:
        """Return the name of a continent."""
        return continents.name(value) or value

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Return the rows of the chosen continent."""
        return queryset.in_continent(self.value()) if self.value() else queryset


class RegionFilter(_KindFilter):
    """The region that is chosen by its link in a row of the list."""

    title = _("region")
    parameter_name = "region"

    def counts(self, snapshot: "Snapshot") -> dict[str, int]:  # noqa: ARG002 - regions are not counted
        """Return nothing: thousands of regions are not offered."""
        return {}

    def name(self, value: str) -> str:
        """Return the code of a region."""
        return value

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Return the rows of the chosen region."""
        return queryset.in_region(self.value()) if self.value() else queryset

    def has_output(self) -> bool:
        """Tell whether it is shown: where a region is chosen."""
        return bool(self.value())


class UserTypeFilter(_KindFilter):
    """The types of users in the table."""

    title = _("users")
    parameter_name = "user_type"

    def counts(self, snapshot: "Snapshot") -> dict[str, int]:
        """Return the counts of types of users."""
        return snapshot.kinds.user_types

    def name(self, value: str) -> str:
        """Return the name of a type of users."""
        return trait_names.user_type_name(value)

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Return the rows of the chosen users."""
        return queryset.with_user_type(self.value()) if self.value() else queryset


class ConnectionFilter(_KindFilter):
    """The types of connections in the table."""

    title = _("connection")
    parameter_name = "connection_type"

    def counts(self, snapshot: "Snapshot") -> dict[str, int]:
        """Return the counts of types of connections."""
        return snapshot.kinds.connection_types

    def name(self, value: str) -> str:
        """Return the name of a type of connections."""
        return trait_names.connection_type_name(value)

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Return the rows of the chosen connections."""
        return queryset.with_connection_type(self.value()) if self.value() else queryset


class OutcomeFilter(admin.SimpleListFilter):
    """Whether anything is known."""

    title = _("answer")
    parameter_name = "answer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """Return the two kinds of answer."""
        snapshot = counted(request)
        empty_count = snapshot.empty_count if snapshot else None
        found_count = snapshot.row_count - snapshot.empty_count if snapshot else None
        return [
            ("found", _label(_("found"), found_count)),
            ("empty", _label(_("never resolved"), empty_count)),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Return the rows of the chosen kind."""
        match self.value():
            case "found":
                return queryset.filter(reason="")
            case "empty":
                return queryset.unresolved()
        return queryset


def counted(request: HttpRequest) -> "Snapshot | None":
    """Return the statistics, read once for all that a page shows."""
    from geocache.statistics.table import read_statistics  # noqa: PLC0415 - each process loads the admin

    page: Any = request
    if not hasattr(page, "geo_statistics"):
        page.geo_statistics = read_statistics()
    snapshot: Snapshot | None = page.geo_statistics
    return snapshot


def _label(name: Any, count: int | None) -> str:
    return str(name) if count is None else f"{name} ({number_format(count, force_grouping=True)})"
