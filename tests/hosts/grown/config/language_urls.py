from django.conf.urls.i18n import i18n_patterns

from config.urls import urlpatterns as pages

urlpatterns = i18n_patterns(*pages)
