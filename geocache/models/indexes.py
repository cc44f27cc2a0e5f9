"""The order of addresses, which each database finds in another column."""

from typing import Any, Final

from django.db import connections, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SORT_KEY: Final = "sort_key"
ADDRESS: Final = "address"


def address_column(using: str) -> str:
    """Return the column that sorts as addresses do, and has indexes for it.

    PostgreSQL has a type for addresses, whose indexes take half of the bytes; to others they are
    text, in which 10.0.0.0 comes before 9.0.0.0.
    """
    return ADDRESS if connections[using].vendor == "postgresql" else SORT_KEY


class AddressOrderIndex(models.Index):
    """An index whose last field is ``sort_key``, for which PostgreSQL takes the address itself."""

    def create_sql(
        self,
        model: type[models.Model],
        schema_editor: BaseDatabaseSchemaEditor,
        using: str = "",
        **kwargs: Any,
    ) -> Any:
        """Return the statement that makes the index."""
        if schema_editor.connection.vendor != "postgresql":
            return super().create_sql(model, schema_editor, using, **kwargs)
        *before, _ = self.fields
        condition = self.condition
        if not before and condition is None:
            # The primary key is this index. An empty one has the name, so that a migration may
            # remove it as on any other database.
            condition = models.Q(pk__isnull=True)
        index = models.Index(fields=[*before, ADDRESS], name=self.name, condition=condition)
        return index.create_sql(model, schema_editor, using, **kwargs)
