"""URLs of a project with the admin, but without the pages of geocache."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
