"""The pages."""

from django.urls import path

from geocache.views import lookup

app_name = "geocache"

urlpatterns = [
    path("lookup/", lookup.lookup_page, name="lookup"),
]
