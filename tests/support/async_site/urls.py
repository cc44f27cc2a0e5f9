"""Asynchronous views that say where their visitor is."""

import asyncio
from typing import Any

from django.http import HttpResponse
from django.template import engines
from django.urls import path

from geocache.client_ip import address_of

PAGE = engines["django"].from_string("{% load geo %}{% geo address as place %}{{ place.city }}")


async def awaited(request: Any) -> HttpResponse:
    return HttpResponse((await request.ageo()).city)


async def lazy(request: Any) -> HttpResponse:
    return HttpResponse(request.geo.city)


async def template(request: Any) -> HttpResponse:
    return HttpResponse(PAGE.render({"address": address_of(request)}, request))


async def loop(_: Any) -> HttpResponse:
    return HttpResponse(type(asyncio.get_running_loop()).__module__)


urlpatterns = [
    path("awaited/", awaited),
    path("lazy/", lazy),
    path("template/", template),
    path("loop/", loop),
]
