from django.contrib import admin

from geocache.integrations.admin_columns import GeoColumns
from visits.models import Visit


@admin.register(Visit)
class VisitAdmin(GeoColumns, admin.ModelAdmin):
    list_display = ["at", "ip"]
    geo_fields = ["ip"]
