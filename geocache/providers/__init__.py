"""What resolves an address: one provider a process, made from the settings when first used."""

from functools import cache
from typing import cast

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from geocache import conf
from geocache.providers.base import Provider


@cache
def current() -> Provider:
    """Return this process's provider.

    Raises ``ImproperlyConfigured`` when ``GEOCACHE["PROVIDER"]`` names none.
    """
    configured = conf.get("PROVIDER")
    try:
        backend = import_string(configured["BACKEND"])
        return cast(Provider, backend(**configured.get("OPTIONS", {})))
    except (AttributeError, ImportError, KeyError, TypeError) as error:
        raise ImproperlyConfigured(f'GEOCACHE["PROVIDER"] cannot be used: {error}') from error


def _forget(*, setting: str, **_: object) -> None:
    if setting == "GEOCACHE":
        current.cache_clear()


setting_changed.connect(_forget, dispatch_uid="geocache.providers")
