"""Let lists be labels, without a new copy of their table."""

from django.core.validators import RegexValidator
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


class AddColumn(migrations.AddField):
    """Add a column with a default that the database keeps: SQLite does so at once, too."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):  # noqa: ARG002 - Django's signature
        """Add the column as on any other database."""
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            field = model._meta.get_field(self.name)
            BaseDatabaseSchemaEditor.add_field(schema_editor, model, field)


class Migration(migrations.Migration):
    dependencies = [
        ("geocache", "0014_richer_answers"),
    ]

    operations = [
        AddColumn(
            model_name="importsource",
            name="label",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text=(
                    "Every address that is on this list, alone or inside a network, is shown with "
                    "this label, such as vpn, tor, cloud or bot. If it is empty, the label in "
                    "IMPORT_OPTIONS counts."
                ),
                max_length=40,
                validators=[
                    RegexValidator(
                        "\\A[a-z0-9_]*\\Z", "A label has no other characters than a-z, 0-9 and _."
                    )
                ],
                verbose_name="label",
            ),
        ),
    ]
