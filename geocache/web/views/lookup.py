"""The page that answers addresses, in a text, a file or a link."""

from collections import Counter
from http import HTTPStatus
from math import ceil
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from geocache import exports
from geocache.client_ip import address_of, network_of
from geocache.exceptions import ProviderError, RateExceeded
from geocache.location import Location
from geocache.lookup import lookup_many
from geocache.mounts import page_url
from geocache.permissions import user_of
from geocache.place_names import shown
from geocache.providers import factory
from geocache.providers.base import Source
from geocache.rate_limit.asker import Asker, asker_of
from geocache.trait_names import most_telling
from geocache.web.access import permitted_labels, permitted_unless_public
from geocache.web.forms import LookupForm
from geocache.web.frame import render_page

ANSWERED_KINDS: Final = ("csv", "json")
# Countries, and operators, whose answers are counted on the page.
COUNTED: Final = 10


@require_http_methods(["GET", "HEAD", "POST"])
@permitted_unless_public
def lookup_page(request: HttpRequest) -> HttpResponseBase:
    """Answer the addresses in a text or a file, or each ``ip`` of a link that can be shared."""
    asker = asker_of(user_of(request), network_of(request))
    form = _form(request, asker)
    try:
        answers, wait_seconds = permitted_labels(request, _answers(form, asker)), 0
    except RateExceeded as error:
        form.add_error(None, _rate_exceeded(error))
        answers, wait_seconds = [], error.seconds
    kind = request.POST.get("format") or request.GET.get("format", "")
    if answers and kind in ANSWERED_KINDS:
        return exports.download(request, answers, kind, "answers")
    sources, provider_error = _sources()
    context = {
        "form": form,
        "answers": shown(answers),
        "totals": _totals(answers),
        "kinds": ANSWERED_KINDS,
        "sources": sources,
        "shown_sources": answers,
        "provider_error": provider_error,
    }
    response = render_page(request, "geocache/lookup.html", context)
    if wait_seconds:
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        response["Retry-After"] = str(wait_seconds)
    return response


@require_safe
@never_cache
@permitted_unless_public
def my_address(request: HttpRequest) -> HttpResponse:
    """Lead visitors to the answer for their own address."""
    address = address_of(request)
    url = page_url("lookup", request)
    return redirect(f"{url}?ip={address}#answers" if address else url)


def _form(request: HttpRequest, asker: Asker) -> LookupForm:
    if request.method == "POST":
        return LookupForm(request.POST.dict(), request.FILES, spend=asker.spend)
    if "ip" in request.GET:
        text = "\n".join(request.GET.getlist("ip"))
        return LookupForm({"addresses": text}, spend=asker.spend)
    return LookupForm()


def _answers(form: LookupForm, asker: Asker) -> list[Location]:
    """Return the answers; raise ``RateExceeded``."""
    if not form.is_valid():
        return []
    addresses = form.cleaned_data["addresses"]
    asker.spend_queries(addresses)
    return list(lookup_many(addresses).values())


def _rate_exceeded(error: RateExceeded) -> str:
    if not error.seconds:
        said = _("These are too many addresses at once: at most %(count)s are allowed.")
        return said % {"count": number_format(error.amount)}
    minutes = ceil(error.seconds / 60)
    said = ngettext(
        "Too many addresses were asked for. Try again in %(count)s minute.",
        "Too many addresses were asked for. Try again in %(count)s minutes.",
        minutes,
    )
    return said % {"count": number_format(minutes)}


def _totals(answers: list[Location]) -> dict[str, Any]:
    """Return how many answers there are for the most frequent countries, operators and traits."""
    traits = Counter(trait for one in answers for trait in most_telling(one.traits))
    countries = Counter(one.country_code for one in answers if one.country_code)
    operators = Counter((one.asn, one.organization) for one in answers if one.asn is not None)
    return {
        "countries": _most(countries),
        "operators": _most(operators),
        # One address may have several: there is not a rest.
        "traits": traits.most_common(COUNTED),
    }


def _most(counted: Counter[Any]) -> dict[str, Any]:
    shown = counted.most_common(COUNTED)
    return {"shown": shown, "other_count": counted.total() - sum(count for _, count in shown)}


def _sources() -> tuple[list[Source], str]:
    """Return what answers come from, and why that cannot be told."""
    try:
        return factory.current().sources(), ""
    except ProviderError as error:
        return [], str(error)
