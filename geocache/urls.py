"""The pages."""

from django.urls import path

from geocache.views import addresses, lookup

app_name = "geocache"

urlpatterns = [
    path("lookup/", lookup.lookup_page, name="lookup"),
    path("lookup/mine/", lookup.my_address, name="my_address"),
    path("addresses/", addresses.address_list, name="addresses"),
    path("addresses/download.<str:kind>", addresses.download, name="addresses_download"),
    path("addresses/<str:address>/", addresses.address_page, name="address"),
]
