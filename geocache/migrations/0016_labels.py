"""Let lists be labels, without a new copy of their table."""

from django.core.validators import RegexValidator
from django.db import migrations, models

from geocache.models.migration_steps import AddColumn


class Migration(migrations.Migration):
    dependencies = [
        ("geocache", "0015_kinds_of_change"),
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
