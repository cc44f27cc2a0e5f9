"""What the page of metrics says: its text in the format that is asked for."""

from geocache import extras
from geocache.metrics.collector import GeocacheCollector

with extras.needed("metrics"):
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder


def render(accept: str) -> tuple[bytes, str]:
    """Return the figures as OpenMetrics or as Prometheus' text, and the type of the content.

    From a registry of its own: not those that the project's libraries count in the host's.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GeocacheCollector())
    try:
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type
    except (TypeError, ValueError):
        # A version that is no number.
        encode, content_type = choose_encoder("")
        return encode(registry), content_type
