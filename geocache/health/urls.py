"""The addresses of the probes, also to be included alone, at the top of a project.

Where Django puts a language before an address (``i18n_patterns``) a probe would be redirected:
such a project includes these outside.
"""

from geocache.health import views
from geocache.mounts import HEALTH, endpoint

app_name = HEALTH
# With and without a slash: a redirect is not an answer to a probe.
urlpatterns = [
    endpoint("health/live", views.live, name="health-live"),
    endpoint("health/live/", views.live),
    endpoint("health/ready", views.ready, name="health-ready"),
    endpoint("health/ready/", views.ready),
]
