"""The page that answers addresses, in a text, a file or a link."""

from collections import Counter
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from geocache import exports
from geocache.client_ip import address_of
from geocache.exceptions import ProviderError
from geocache.location import Location
from geocache.lookup import lookup_many
from geocache.providers import factory
from geocache.providers.base import Source
from geocache.web.access import permitted_unless_public
from geocache.web.forms import LookupForm

ANSWERED_KINDS: Final = ("csv", "json")
# Countries, and operators, whose answers are counted on the page.
COUNTED: Final = 10


@require_http_methods(["GET", "HEAD", "POST"])
@permitted_unless_public
def lookup_page(request: HttpRequest) -> HttpResponseBase:
    """Answer the addresses in a text or a file, or each ``ip`` of a link that can be shared."""
    form = _form(request)
    answers = _answers(form)
    kind = request.POST.get("format") or request.GET.get("format", "")
    if answers and kind in ANSWERED_KINDS:
        return exports.download(request, answers, kind, "answers")
    sources, provider_error = _sources()
    context = {
        "form": form,
        "answers": answers,
        "totals": _totals(answers),
        "kinds": ANSWERED_KINDS,
        "sources": sources,
        "provider_error": provider_error,
    }
    return render(request, "geocache/lookup.html", context)


@require_safe
@never_cache
@permitted_unless_public
def my_address(request: HttpRequest) -> HttpResponse:
    """Lead visitors to the answer for their own address."""
    address = address_of(request)
    url = reverse("geocache:lookup")
    return redirect(f"{url}?ip={address}#answers" if address else url)


def _form(request: HttpRequest) -> LookupForm:
    if request.method == "POST":
        return LookupForm(request.POST.dict(), request.FILES)
    if "ip" in request.GET:
        return LookupForm({"addresses": "\n".join(request.GET.getlist("ip"))})
    return LookupForm()


def _answers(form: LookupForm) -> list[Location]:
    return list(lookup_many(form.cleaned_data["addresses"]).values()) if form.is_valid() else []


def _totals(answers: list[Location]) -> dict[str, Any]:
    """Return how many answers there are for the most frequent countries and operators."""
    countries = Counter(one.country_code for one in answers if one.country_code)
    operators = Counter((one.asn, one.organization) for one in answers if one.asn is not None)
    return {"countries": _most(countries), "operators": _most(operators)}


def _most(counted: Counter[Any]) -> dict[str, Any]:
    shown = counted.most_common(COUNTED)
    return {"shown": shown, "other_count": counted.total() - sum(count for _, count in shown)}


def _sources() -> tuple[list[Source], str]:
    """Return what answers come from, and why that cannot be told."""
    try:
        return factory.current().sources(), ""
    except ProviderError as error:
        return [], str(error)
