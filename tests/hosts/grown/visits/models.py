"""What the host had before: visits, each with an address."""

from django.db import models


class Visit(models.Model):
    at = models.DateTimeField(auto_now_add=True)
    ip = models.GenericIPAddressField()

    def __str__(self):
        return self.ip
