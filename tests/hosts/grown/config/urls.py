"""The host's pages, and geocache below a prefix."""

from django.contrib import admin
from django.urls import include, path
from visits import views

urlpatterns = [
    path("", views.welcome, name="welcome"),
    path("admin/", admin.site.urls),
    path("geo/", include("geocache.urls")),
]
