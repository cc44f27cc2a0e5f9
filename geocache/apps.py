"""The application's configuration. It starts nothing: a scheduler is a process of its own."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class GeocacheConfig(AppConfig):
    """Geocache: where is this IP address?"""

    name = "geocache"
    verbose_name = _("Geocache")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        # Models must be loaded before.
        from geocache import checks  # noqa: F401, PLC0415
        from geocache.models import checks as database_checks  # noqa: F401, PLC0415
        from geocache.web import checks as page_checks  # noqa: F401, PLC0415
