"""What resolves an address: one provider a process, made from the settings when first used."""

from functools import cache

from django.core.signals import setting_changed

from geocache import conf
from geocache.providers.base import Provider
from geocache.providers.configured import make


@cache
def current() -> Provider:
    """Return this process's provider.

    Raises ``ImproperlyConfigured`` when ``GEOCACHE["PROVIDER"]`` names none.
    """
    return make(conf.get("PROVIDER"))


def _forget(*, setting: str, **_: object) -> None:
    if setting == "GEOCACHE":
        current.cache_clear()


setting_changed.connect(_forget, dispatch_uid="geocache.providers")
