"""What resolves an address: one provider a process, made from the settings when first used."""

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from geocache import conf
from geocache.providers.base import Provider
from geocache.providers.coercion import choose_languages


@cache
def current() -> Provider:
    """Return this process's provider.

    Raises ``ImproperlyConfigured`` when ``GEOCACHE["PROVIDER"]`` names none.
    """
    languages = conf.get("LOCALES")
    # Of another kind it is an error that ``check`` says.
    choose_languages(languages if isinstance(languages, list | tuple) else ())
    return make(conf.get("PROVIDER"))


def make(configured: Mapping[str, Any]) -> Provider:
    """Return the provider of one ``{"BACKEND": ..., "OPTIONS": {...}}``.

    The option ``queries_per_day`` is known to every provider, and not handed to its class.
    Raises ``ImproperlyConfigured`` when it names none.
    """
    try:
        backend = import_string(configured["BACKEND"])
        options = dict(configured.get("OPTIONS", {}))
        queries_per_day = _limit(options.pop("queries_per_day", None))
        provider = cast(Provider, backend(**options))
    except (AttributeError, ImportError, KeyError, TypeError) as error:
        raise ImproperlyConfigured(f'GEOCACHE["PROVIDER"] cannot be used: {error}') from error
    provider.queries_per_day = queries_per_day
    provider.queries_at_once = conf.get("ASYNC_QUERIES")
    return provider


def _limit(queries_per_day: object) -> int | None:
    if queries_per_day is None:
        return None
    if type(queries_per_day) is not int or queries_per_day < 0:
        raise TypeError(f"queries_per_day is {queries_per_day!r}")
    return queries_per_day


def _forget(*, setting: str, **_: object) -> None:
    if setting == "GEOCACHE":
        current.cache_clear()
        choose_languages(())


setting_changed.connect(_forget, dispatch_uid="geocache.providers")
