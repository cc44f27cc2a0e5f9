from django.shortcuts import render

from geocache.integrations.rows import attach_locations
from visits.models import Visit


def welcome(request):
    visits = attach_locations(Visit.objects.order_by("-at")[:50], "ip")
    return render(request, "visits/welcome.html", {"visits": visits})
