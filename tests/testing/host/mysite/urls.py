from django.http import HttpResponse
from django.urls import path


def welcome(request):
    return HttpResponse(f"Hello from {request.geo.city or 'somewhere'}!")


async def awelcome(request):
    place = await request.ageo()
    return HttpResponse(f"Hello from {place.city or 'somewhere'}!")


urlpatterns = [path("", welcome), path("async/", awelcome)]
