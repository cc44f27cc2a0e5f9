"""Links between the pages, wherever a project includes them: ``{% load geo_links %}``."""

from typing import Any

from django import template

from geocache.mounts import api_url, page_url
from geocache.web import log_in

register = template.Library()


@register.simple_tag(takes_context=True)
def geo_url(context: template.Context, name: str, **parameters: Any) -> str:
    """Return the address of a page, no text where there is none: ``{% geo_url 'lookup' %}``."""
    return page_url(name, getattr(context, "request", None), **parameters)


@register.simple_tag
def log_in_url() -> str:
    """Return where somebody logs in, no text where nobody can."""
    return log_in.log_in_url()


@register.simple_tag
def log_out_url() -> str:
    """Return where somebody logs out, no text where nobody can."""
    return log_in.log_out_url()


@register.simple_tag(takes_context=True)
def geo_api_url(context: template.Context, name: str, **parameters: Any) -> str:
    """Return an address of the API, no text where there is none."""
    return api_url(name, getattr(context, "request", None), **parameters)
