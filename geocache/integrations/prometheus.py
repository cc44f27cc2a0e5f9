"""The state and the counters of geocache in a registry of the project's own.

``register(registry)`` adds them to what the project serves; ``geocache.metrics.urls`` is a page
without that.
"""

from geocache.metrics.collector import GeocacheCollector, register

__all__ = ["GeocacheCollector", "register"]
