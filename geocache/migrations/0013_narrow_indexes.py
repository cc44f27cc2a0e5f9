"""Make the indexes of answers smaller: a row had more bytes in them than of its own."""

from django.db import migrations, models
from django.db.models import Q

from geocache.models.indexes import AddressOrderIndex

EMPTY = ~Q(reason="")

INDEXES = [
    AddressOrderIndex(fields=["sort_key"], name="geocache_sort_key"),
    AddressOrderIndex(fields=["country_code", "sort_key"], name="geocache_country_sort"),
    AddressOrderIndex(fields=["asn", "sort_key"], name="geocache_asn_sort"),
    AddressOrderIndex(fields=["sort_key"], name="geocache_unresolved_sort", condition=EMPTY),
    models.Index(fields=["resolved_at"], name="geocache_resolved_at"),
    models.Index(fields=["country_code", "resolved_at"], name="geocache_country"),
    models.Index(fields=["asn", "resolved_at"], name="geocache_asn"),
    models.Index(fields=["source", "resolved_at"], name="geocache_source"),
    models.Index(fields=["resolved_at"], name="geocache_unresolved", condition=EMPTY),
]


class ReplaceIndexes(migrations.operations.base.Operation):
    """Put indexes in the place of those with their names.

    One that is the same in this database stays. New ones are made before the old ones go, as
    PostgreSQL lets other processes read while it makes an index, but not after it has dropped one.
    """

    def __init__(self, model_name, indexes):
        self.model_name = model_name
        self.indexes = indexes

    def state_forwards(self, app_label, state):
        """Replace them in the state of the models."""
        for index in self.indexes:
            state.remove_index(app_label, self.model_name.lower(), index.name)
            state.add_index(app_label, self.model_name.lower(), index)

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        """Replace them in the database."""
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        old_model = from_state.apps.get_model(app_label, self.model_name)
        old = {one.name: one for one in old_model._meta.indexes}
        new = {one.name: one for one in model._meta.indexes}
        changed = [
            name
            for name in (one.name for one in self.indexes)
            if str(old[name].create_sql(old_model, schema_editor))
            != str(new[name].create_sql(model, schema_editor))
        ]
        if schema_editor.connection.vendor == "postgresql":
            for name in changed:
                made = new[name].clone()
                made.name = f"{name}_made"
                schema_editor.add_index(model, made)
            for name in changed:
                schema_editor.remove_index(model, old[name])
                schema_editor.execute(f"ALTER INDEX {name}_made RENAME TO {name}")
            return
        for name in changed:
            schema_editor.remove_index(model, old[name])
            schema_editor.add_index(model, new[name])

    database_backwards = database_forwards

    def describe(self):
        """Return what is shown of it."""
        return f"Replace indexes of {self.model_name}"


class Migration(migrations.Migration):
    dependencies = [
        ("geocache", "0012_setting_overrides"),
    ]

    operations = [ReplaceIndexes("GeoCache", INDEXES)]
