from django.db import migrations, models


def rename_column(table, old, new):
    """Rename a column as every database does it, at once; Django rebuilds the table on SQLite."""
    sql = "ALTER TABLE {} RENAME COLUMN {} TO {}"
    return migrations.RunSQL(
        sql.format(table, old, new),
        sql.format(table, new, old),
        # A router decides by the model, as for every other operation.
        hints={"model_name": "listedaddress"},
    )


class Migration(migrations.Migration):
    """The field's names for tables and columns. Nothing is rebuilt: indexes follow their columns."""

    dependencies = [
        ("geocache", "0005_imports"),
    ]

    operations = [
        migrations.RenameModel("FormerAnswer", "AnswerHistory"),
        migrations.AlterModelOptions(
            name="answerhistory",
            options={"verbose_name": "history entry", "verbose_name_plural": "history"},
        ),
        migrations.RenameField("geocache", "asked_on", "last_seen_on"),
        migrations.RenameField("journalhead", "position", "flushed_through"),
        migrations.RenameField("journalhead", "trimmed", "deleted_through"),
        migrations.RenameField("importrun", "appeared_count", "added_count"),
        migrations.RenameField("importrun", "left_count", "removed_count"),
        migrations.AlterField(
            "geocache", "last_seen_on", models.DateField(verbose_name="last requested")
        ),
        migrations.AlterField(
            "importrun", "added_count", models.PositiveIntegerField(default=0, verbose_name="added")
        ),
        migrations.AlterField(
            "importrun",
            "removed_count",
            models.PositiveIntegerField(default=0, verbose_name="removed"),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                rename_column("geocache_listedaddress", "appeared_run_id", "added_run_id"),
                rename_column("geocache_listedaddress", "left_run_id", "removed_run_id"),
            ],
            state_operations=[
                migrations.RemoveIndex("listedaddress", "geocache_listed_new"),
                migrations.RemoveIndex("listedaddress", "geocache_listed_left"),
                migrations.RenameField("listedaddress", "appeared_run", "added_run"),
                migrations.RenameField("listedaddress", "left_run", "removed_run"),
                migrations.AlterField(
                    "listedaddress",
                    "added_run",
                    models.ForeignKey(
                        null=True,
                        on_delete=models.SET_NULL,
                        related_name="added",
                        to="geocache.importrun",
                        db_index=False,
                    ),
                ),
                migrations.AlterField(
                    "listedaddress",
                    "removed_run",
                    models.ForeignKey(
                        null=True,
                        on_delete=models.SET_NULL,
                        related_name="removed",
                        to="geocache.importrun",
                        db_index=False,
                    ),
                ),
                migrations.AddIndex(
                    "listedaddress",
                    models.Index(
                        fields=["added_run", "sort_key", "prefix_length"],
                        name="geocache_listed_new",
                    ),
                ),
                migrations.AddIndex(
                    "listedaddress",
                    models.Index(
                        fields=["removed_run", "sort_key", "prefix_length"],
                        name="geocache_listed_left",
                        condition=models.Q(removed_run__isnull=False),
                    ),
                ),
            ],
        ),
    ]
