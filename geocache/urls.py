"""The pages."""

from django.urls import path

from geocache.views import addresses, api, dashboard, lookup, moves

app_name = "geocache"

urlpatterns = [
    path("", dashboard.dashboard_page, name="dashboard"),
    path("lookup/", lookup.lookup_page, name="lookup"),
    path("lookup/mine/", lookup.my_address, name="my_address"),
    path("addresses/", addresses.address_list, name="addresses"),
    path("addresses/download.<str:kind>", addresses.download, name="addresses_download"),
    path("addresses/<str:address>/", addresses.address_page, name="address"),
    path("moves/", moves.move_list, name="moves"),
    path("api/lookup", api.lookup_several, name="api-lookup-several"),
    path("api/lookup/<path:address>", api.lookup_one, name="api-lookup"),
    path("api/<path:path>", api.nothing_here),
]
