"""The addresses of the API, also to be included without the pages.

Below ``i18n_patterns`` a program that asks without a language is redirected: a project with these
includes the API outside of them.
"""

from geocache.api import views
from geocache.mounts import API, endpoint

app_name = API
urlpatterns = [
    endpoint("lookup", views.lookup_several, name="api-lookup-several"),
    endpoint("lookup/<path:address>", views.lookup_one, name="api-lookup"),
    endpoint("", views.nothing_here),
    endpoint("<path:path>", views.nothing_here),
]
