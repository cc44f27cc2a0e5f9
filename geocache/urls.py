"""The pages."""

from django.urls import path

from geocache.views import api, lookup

app_name = "geocache"

urlpatterns = [
    path("lookup/", lookup.lookup_page, name="lookup"),
    path("api/lookup", api.lookup_several, name="api-lookup-several"),
    path("api/lookup/<path:address>", api.lookup_one, name="api-lookup"),
    path("api/<path:path>", api.nothing_here),
]
