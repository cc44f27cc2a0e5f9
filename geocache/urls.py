"""The pages, and the API below them: ``path("geo/", include("geocache.urls"))``."""

from django.urls import include, path

from geocache.api import urls as api_urls
from geocache.api import views
from geocache.mounts import PAGES, endpoint
from geocache.web import urls as page_urls

app_name = PAGES
urlpatterns = [
    *page_urls.urlpatterns,
    endpoint("api", views.nothing_here),
    path("api/", include(api_urls.urlpatterns)),
]
