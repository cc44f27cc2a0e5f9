from django.contrib import admin
from django.urls import include, path
from visits import views

operations = ([path("geo/", include("geocache.urls"))], "operations")
internal = ([path("operations/", include(operations))], "internal")
urlpatterns = [
    path("", views.welcome, name="welcome"),
    path("admin/", admin.site.urls),
    path("internal/", include(internal)),
]
