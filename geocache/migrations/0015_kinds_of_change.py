"""Keep of what kinds a change was, and what region and kind of network took the place of the old.

No row is written, also not in a table of millions: what kinds an older change was of is read from
its other columns. All new columns have a default in the database, so that processes of the release
before can go on writing.
"""

from django.db import migrations, models
from django.db.models import Q

from geocache.models.columns import TraitsField
from geocache.models.migration_steps import AddColumn, AddPartialIndex


def text(label, length, kind=models.CharField):
    """Return a column of text that is empty by default."""
    return kind(label, blank=True, default="", db_default="", max_length=length)


COLUMNS = {
    "new_region_code": text("code of the region afterwards", 10),
    "new_region": text("region afterwards", 200),
    "new_traits": text("kind of network afterwards", 500, TraitsField),
    "kinds": text("kind of change", 60, TraitsField),
}


class Migration(migrations.Migration):
    dependencies = [
        ("geocache", "0014_richer_answers"),
    ]

    operations = [
        migrations.CreateModel(
            name="TraitSource",
            fields=[
                ("name", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("first_named_at", models.DateTimeField()),
            ],
        ),
        *(
            AddColumn(model_name="answerhistory", name=name, field=field)
            for name, field in COLUMNS.items()
        ),
        *(
            AddPartialIndex(
                "answerhistory",
                models.Index(
                    fields=["valid_until", "address"],
                    name=f"geocache_former_{kind}",
                    condition=Q(kinds__contains=f",{kind},"),
                ),
            )
            for kind in ("region", "traits")
        ),
    ]
