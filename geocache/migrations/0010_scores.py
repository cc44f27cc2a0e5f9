"""Add scores and comments of entries, without a new copy of their table."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Q


class AddColumn(migrations.AddField):
    """Add a column with a default that the database keeps: SQLite does so at once, too.

    Django copies a whole table of SQLite for each column that is not null.
    """

    def database_forwards(self, app_label, schema_editor, from_state, to_state):  # noqa: ARG002 - Django's signature
        """Add the column as on any other database."""
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            field = model._meta.get_field(self.name)
            BaseDatabaseSchemaEditor.add_field(schema_editor, model, field)


class Migration(migrations.Migration):
    dependencies = [
        ("geocache", "0009_url_digest"),
    ]

    operations = [
        AddColumn(
            model_name="importrun",
            name="changed_count",
            field=models.PositiveIntegerField(
                db_default=0, default=0, verbose_name="with another score or comment"
            ),
        ),
        AddColumn(
            model_name="importrun",
            name="reader_version",
            field=models.PositiveSmallIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            model_name="listedaddress",
            name="score",
            field=models.FloatField(blank=True, null=True, verbose_name="score"),
        ),
        AddColumn(
            model_name="listedaddress",
            name="comment",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=200, verbose_name="comment"
            ),
        ),
        migrations.AddIndex(
            model_name="listedaddress",
            index=models.Index(
                fields=["source", "is_listed", "-score", "sort_key", "prefix_length"],
                condition=Q(score__isnull=False),
                name="geocache_listed_score",
            ),
        ),
        migrations.AddIndex(
            model_name="listedaddress",
            index=models.Index(
                fields=["added_run", "-score", "sort_key", "prefix_length"],
                condition=Q(score__isnull=False),
                name="geocache_listed_new_score",
            ),
        ),
        migrations.AddIndex(
            model_name="listedaddress",
            index=models.Index(
                fields=["removed_run", "-score", "sort_key", "prefix_length"],
                condition=Q(removed_run__isnull=False, score__isnull=False),
                name="geocache_listed_left_score",
            ),
        ),
    ]
