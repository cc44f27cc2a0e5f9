"""The pages, the probes, and the API below them: ``path("geo/", include("geocache.urls"))``."""

from django.urls import include, path

from geocache.api import urls as api_urls
from geocache.api import views
from geocache.health import urls as health_urls
from geocache.metrics import urls as metrics_urls
from geocache.mounts import PAGES, endpoint
from geocache.web import urls as page_urls

app_name = PAGES
urlpatterns = [
    *page_urls.urlpatterns,
    *health_urls.urlpatterns,
    *metrics_urls.urlpatterns,
    endpoint("api", views.nothing_here),
    path("api/", include(api_urls.urlpatterns)),
]
