"""The addresses of the pages, also to be included without the API."""

from typing import Any

from django.urls import URLPattern

from geocache.mounts import PAGES, endpoint
from geocache.web.uploads import bounded_uploads
from geocache.web.views import addresses, blocklists, dashboard, lookup, moves

app_name = PAGES


def page(route: str, view: Any, name: str) -> URLPattern:
    """Return the address of a page: also one without a form is sent some."""
    return endpoint(route, bounded_uploads(view), name=name)


urlpatterns = [
    page("", dashboard.dashboard_page, name="dashboard"),
    page("lookup/", lookup.lookup_page, name="lookup"),
    page("lookup/mine/", lookup.my_address, name="my_address"),
    page("addresses/", addresses.address_list, name="addresses"),
    page("addresses/download.<str:kind>", addresses.download, name="addresses_download"),
    page("addresses/<path:address>/", addresses.address_page, name="address"),
    page("moves/", moves.move_list, name="moves"),
    page("lists/", blocklists.list_overview, name="lists"),
    page("lists/<int:pk>/", blocklists.list_page, name="list"),
    page("lists/<int:pk>/import/", blocklists.import_now, name="import_now"),
    page("lists/imports/<int:pk>/", blocklists.run_page, name="import_run"),
]
