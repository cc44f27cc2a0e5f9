"""The page that answers addresses."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from geocache import providers
from geocache.exceptions import ProviderError
from geocache.forms import LookupForm
from geocache.locations import Location
from geocache.lookup import lookup_many
from geocache.providers.base import Source
from geocache.views.access import staff_unless_public


@require_http_methods(["GET", "HEAD", "POST"])
@staff_unless_public
def lookup_page(request: HttpRequest) -> HttpResponse:
    """Answer a pasted text of addresses, or the ``ip`` of a link that can be shared."""
    form = _form(request)
    answers = _answers(form)
    sources, provider_error = _sources()
    context = {
        "form": form,
        "answers": answers,
        "sources": sources,
        "provider_error": provider_error,
    }
    return render(request, "geocache/lookup.html", context)


def _form(request: HttpRequest) -> LookupForm:
    if request.method == "POST":
        return LookupForm(request.POST)
    if "ip" in request.GET:
        return LookupForm({"addresses": "\n".join(request.GET.getlist("ip"))})
    return LookupForm()


def _answers(form: LookupForm) -> list[Location]:
    if not form.is_valid():
        return []
    found = lookup_many(form.cleaned_data["addresses"]).values()
    # Two ways to write one address (``::ffff:1.2.3.4``) are one answer.
    return list({location.address: location for location in found}.values())


def _sources() -> tuple[list[Source], str]:
    """Return what answers come from, and why that cannot be told."""
    try:
        return providers.current().sources(), ""
    except ProviderError as error:
        return [], str(error)
