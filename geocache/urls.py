"""The pages."""

from django.urls import path

from geocache.views import dashboard, lookup

app_name = "geocache"

urlpatterns = [
    path("", dashboard.dashboard_page, name="dashboard"),
    path("lookup/", lookup.lookup_page, name="lookup"),
]
