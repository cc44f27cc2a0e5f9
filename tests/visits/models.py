"""Models of another site: the first knows nothing of geocache, the others keep its answers."""

import uuid

from django.db import models

from geocache.located import LocatedModel


class Visit(models.Model):
    at = models.DateTimeField(auto_now_add=True)
    ip = models.GenericIPAddressField(null=True)
    sent_by = models.CharField(max_length=100, blank=True)
    page = models.CharField(max_length=100, default="/")

    def __str__(self):
        return self.page


class Login(LocatedModel):
    ip = models.GenericIPAddressField(null=True, blank=True)
    user_name = models.CharField(max_length=100, default="eve")

    geo_address_field = "ip"

    def __str__(self):
        return self.user_name


class Order(LocatedModel):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    sent_by = models.CharField(max_length=100, blank=True)
    at = models.DateTimeField()

    geo_address_field = "sent_by"
    geo_time_field = "at"

    def __str__(self):
        return str(self.id)


class Guest(LocatedModel):
    name = models.CharField(max_length=20, primary_key=True)
    ip = models.GenericIPAddressField()

    geo_address_field = "ip"

    def __str__(self):
        return self.name
