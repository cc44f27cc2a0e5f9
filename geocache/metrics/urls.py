"""The address of the metrics, also to be included alone, at the top of a project.

Where Django puts a language before an address (``i18n_patterns``) a scrape would be redirected:
such a project includes it outside.
"""

from geocache.metrics import views
from geocache.mounts import METRICS, endpoint

app_name = METRICS
# With and without a slash: a redirect would lose the token.
urlpatterns = [
    endpoint("metrics", views.metrics_page, name="metrics"),
    endpoint("metrics/", views.metrics_page),
]
