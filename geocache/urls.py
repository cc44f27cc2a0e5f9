"""The pages."""

from django.urls import path

from geocache import views

app_name = "geocache"

urlpatterns = [
    path("lookup/", views.lookup_page, name="lookup"),
]
