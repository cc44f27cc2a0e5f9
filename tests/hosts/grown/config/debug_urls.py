from debug_toolbar.toolbar import debug_toolbar_urls

from config.urls import urlpatterns as pages

urlpatterns = [*pages, *debug_toolbar_urls()]
