"""The application's configuration. It starts nothing: a scheduler is a process of its own."""

from django.apps import AppConfig
from django.core.signals import request_started
from django.utils.translation import gettext_lazy as _


class GeocacheConfig(AppConfig):
    """Geocache: where is this IP address?"""

    name = "geocache"
    verbose_name = _("Geocache")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, and what the thread of each process does."""
        # Models must be loaded before.
        from geocache import background, checks, site_counters  # noqa: F401, PLC0415
        from geocache.metrics import checks as metrics_checks  # noqa: F401, PLC0415
        from geocache.models import checks as database_checks  # noqa: F401, PLC0415
        from geocache.runtime_settings import follow, log_level  # noqa: PLC0415
        from geocache.web import checks as page_checks  # noqa: F401, PLC0415

        request_started.connect(background.start, dispatch_uid="geocache.background")
        follow.register()
        log_level.register()
        background.every("counters", site_counters.send, site_counters.SEND_SECONDS)
