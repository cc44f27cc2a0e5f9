"""The addresses of the API, also to be included without the pages.

Where Django puts a language before an address (``i18n_patterns``) a program that asks without one
is redirected: such a project includes these outside, and ``geocache.web.urls`` inside.
"""

from geocache.api import views
from geocache.mounts import API, endpoint

app_name = API
urlpatterns = [
    endpoint("lookup", views.lookup_several, name="api-lookup-several"),
    endpoint("lookup/<path:address>", views.lookup_one, name="api-lookup"),
    endpoint("openapi.json", views.openapi, name="api-openapi"),
    endpoint("", views.nothing_here),
    endpoint("<path:path>", views.nothing_here),
]
