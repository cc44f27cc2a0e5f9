"""The state of geocache for django-health-check.

from geocache.integrations.health_check import GeocacheCheck

path("ht/", HealthCheckView.as_view(checks=[GeocacheCheck]))
"""

import dataclasses
from datetime import timedelta

from asgiref.sync import sync_to_async

from geocache.health import parts, report
from geocache.health.findings import find
from geocache.instants import utc_now

try:
    from health_check.base import HealthCheck
    from health_check.exceptions import ServiceUnavailable, ServiceWarning
except ImportError as error:
    raise ImportError(
        "geocache.integrations.health_check needs django-health-check 4 or later"
    ) from error


@dataclasses.dataclass
class GeocacheCheck(HealthCheck):  # type: ignore[misc]  # the package has no types
    """Fails where something is critical; ``is_strict``: also where there is a warning.

    Without ``is_strict`` a warning is no failure, as the view answers 500 to any.
    """

    is_strict: bool = False
    timeout = timedelta(seconds=1)

    async def run(self) -> None:
        """Judge the state, which is read within 120 ms; only names of parts are told."""
        # In the thread of the request: a test's transaction is seen there alone.
        status = await sync_to_async(parts.read)()
        findings = await sync_to_async(find)(status, utc_now())
        critical = sorted({one.part for one in findings if one.is_critical})
        if critical or not report.is_ready(status):
            raise ServiceUnavailable(f"critical: {', '.join(critical)}")
        if findings and self.is_strict:
            raise ServiceWarning(f"warning: {', '.join(sorted({one.part for one in findings}))}")
