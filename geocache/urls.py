"""The pages."""

from django.urls import path

from geocache.api import views
from geocache.web.views import addresses, blocklists, dashboard, lookup, moves

app_name = "geocache"

urlpatterns = [
    path("", dashboard.dashboard_page, name="dashboard"),
    path("lookup/", lookup.lookup_page, name="lookup"),
    path("lookup/mine/", lookup.my_address, name="my_address"),
    path("addresses/", addresses.address_list, name="addresses"),
    path("addresses/download.<str:kind>", addresses.download, name="addresses_download"),
    path("addresses/<str:address>/", addresses.address_page, name="address"),
    path("moves/", moves.move_list, name="moves"),
    path("lists/", blocklists.list_overview, name="lists"),
    path("lists/<int:pk>/", blocklists.list_page, name="list"),
    path("lists/<int:pk>/import/", blocklists.import_now, name="import_now"),
    path("lists/imports/<int:pk>/", blocklists.run_page, name="import_run"),
    path("api/lookup", views.lookup_several, name="api-lookup-several"),
    path("api/lookup/<path:address>", views.lookup_one, name="api-lookup"),
    path("api/<path:path>", views.nothing_here),
]
