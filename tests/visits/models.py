"""A model of somebody else's site: it has addresses, and knows nothing of geocache."""

from django.db import models


class Visit(models.Model):
    at = models.DateTimeField(auto_now_add=True)
    ip = models.GenericIPAddressField(null=True)
    sent_by = models.CharField(max_length=100, blank=True)
    page = models.CharField(max_length=100, default="/")

    def __str__(self):
        return self.page
