from datetime import UTC, date, datetime

from django.db import migrations, models


def today() -> date:
    """Nobody knows when the rows there are were asked for: count from now, and prune none early."""
    return datetime.now(UTC).date()


class Migration(migrations.Migration):
    dependencies = [
        ("geocache", "0002_pages"),
    ]

    operations = [
        migrations.AddField(
            model_name="geocache",
            name="asked_on",
            field=models.DateField(default=today, verbose_name="last asked for"),
            preserve_default=False,
        ),
    ]
