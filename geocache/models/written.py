"""Rows that are read where they are written: a replica lags."""

from typing import Self

from django.db import models, router


class WrittenModel(models.Model):
    """A model whose rows decide what is written."""

    class Meta:
        abstract = True

    @classmethod
    def written(cls) -> models.QuerySet[Self]:
        """Return the rows in the database that they are written to."""
        return cls._default_manager.using(router.db_for_write(cls))
